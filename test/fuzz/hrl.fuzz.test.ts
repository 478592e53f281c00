// 20,000 mutated logs against the oracle, and the oracle against readers with a planted defect: it must find them.
import { describe, expect, it } from 'vitest';
import { HrlError } from '../../lib/hrl/errors.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { runCampaign } from './campaign.ts';
import { Finding, lifeboat, type Subject } from './oracle.ts';
import { readPlainly, replayPlainly } from './plainReader.ts';

const seed = 20_260_511;

describe('mutated logs', () => {
  it('are refused by name, or do what a plain reader says; never with more reads or memory than the file is worth', async () => {
    const outcomes = await runCampaign({ seed, count: 20_000 });
    const reached = [...outcomes.keys()].sort();
    // Each kind of refusal that bytes alone can cause was reached, and so were both kinds of acceptance.
    expect(reached).toEqual([
      'LogDataCorrupt',
      'LogEntryCorrupt',
      'LogEntryOutOfBounds',
      'LogEntryUnaligned',
      'LogHeaderCorrupt',
      'LogMetadataCorrupt',
      'LogNotClosed',
      'LogNotHrl',
      'LogTruncated',
      'LogVersionUnsupported',
      'other effect',
      'same effect',
    ]);
    expect(outcomes.get('other effect')).toBeGreaterThan(500);
    expect(outcomes.get('same effect')).toBeGreaterThan(500);
  });
});

/** Reads all bytes of the source and applies them with the plain reader, checked by `isRight`. */
const plainSubject =
  (accepts: (log: Buffer, diskSize: number) => boolean, order: 'oldest first' | 'newest first'): Subject =>
  async (source, disk) => {
    const log = Buffer.from(await source.read(0, source.sizeBytes));
    const plain = readPlainly(log, disk.length);
    if (typeof plain === 'string' || !accepts(log, disk.length)) return lifeboat(source, disk);
    const entries = order === 'oldest first' ? plain.entries : plain.entries.toReversed();
    replayPlainly(log, { ...plain, entries }, disk);
    return (await verifyHrl(source, { diskSizeBytes: disk.length })).sha256;
  };

describe('the oracle finds', () => {
  const count = 3000;

  it('nothing in a reader that is right', async () => {
    const subject = plainSubject(() => true, 'oldest first');
    await expect(runCampaign({ seed, count, subject })).resolves.toBeInstanceOf(Map);
  });

  it('the oldest write winning', async () => {
    const subject = plainSubject(() => true, 'newest first');
    await expect(runCampaign({ seed, count, subject })).rejects.toThrow(/plain replay/);
  });

  it('data that is not checked', async () => {
    const subject: Subject = async (source, disk) => {
      await readHrl(source);
      return lifeboat(source, disk).catch((error: unknown) => {
        if (error instanceof HrlError && error.code === 'LogDataCorrupt') return 'accepted';
        throw error;
      });
    };
    await expect(runCampaign({ seed, count, subject })).rejects.toThrow(
      /accepted a log that is wrong: "data/,
    );
  });

  it('a refusal without a name', async () => {
    const subject: Subject = (source, disk) =>
      lifeboat(source, disk).catch((error: unknown) => {
        throw new RangeError(String(error));
      });
    await expect(runCampaign({ seed, count, subject })).rejects.toThrow(/not refused by name/);
  });

  it('a count that is believed before it is checked', async () => {
    const subject: Subject = async (source, disk) => {
      if (source.sizeBytes > 4096) {
        const header = Buffer.from(await source.read(0, 4096));
        const said = Number(header.readBigUInt64LE(96));
        // As large as the engine allows at once, so that the test itself stays small.
        if (said < 2 ** 22) new Float64Array(said);
      }
      return lifeboat(source, disk);
    };
    await expect(runCampaign({ seed, count: 20_000, subject })).rejects.toThrow(/an array of/);
  });

  it('a file that is read over and over', async () => {
    const subject: Subject = async (source, disk) => {
      for (let time = 0; time < 5; time++) await source.read(0, source.sizeBytes);
      return lifeboat(source, disk);
    };
    await expect(runCampaign({ seed, count, subject })).rejects.toThrow(/reads of/);
  });

  it('a right log that is refused', async () => {
    const subject: Subject = async (source, disk) => {
      const { entries } = await readHrl(source);
      const { count: segments } = planMerge(entries);
      if (segments < entries.count)
        throw new HrlError('LogEntryCorrupt', {
          structure: 'entry',
          offsetBytes: 0,
          field: 'ByteOffset',
          expected: 'no overlap',
          found: 'overlap',
        });
      return lifeboat(source, disk);
    };
    await expect(runCampaign({ seed, count, subject })).rejects.toThrow(Finding);
  });
});

// Every single changed byte of a log is refused, or lies where no reader may look. Which bytes those are is stated
// here and in docs/format-hrl.md, and the test fails when the statement is too generous or too strict.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { HrlError } from '../../lib/hrl/errors.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { arbitraryWrites, diskSizeBytes, logOf } from '../merge/arbitraryWrites.ts';
import { memoryTarget } from '../merge/memoryTarget.ts';

const blockSizeBytes = 1024;
const slack = 700;

const writes = Array.from({ length: 70 }, (_unused, index) => ({
  diskOffset: ((index * 37) % 200) * 512,
  data: new Uint8Array(512 * (1 + (index % 3))).fill(index + 1),
}));

/** The log, with bytes after its end. */
function smallLog(withDataChecksums: boolean): Buffer {
  const log = logOf(writes, { withDataChecksums, metadataSizeBytes: blockSizeBytes });
  return Buffer.concat([log, Buffer.alloc(slack, 0x55)]);
}

/** Offsets that nothing in the log protects and nothing in it may depend on: unused slots, and what follows the end. */
async function unprotectedOffsets(log: Buffer): Promise<Set<number>> {
  const { header, blocks } = await readHrl(memorySource(log));
  const offsets = new Set<number>();
  for (const { offset, entryCount } of blocks) {
    for (let at = offset + 32 + 32 * entryCount; at < offset + blockSizeBytes; at++) offsets.add(at);
  }
  for (let at = header.endOfLogBytes; at < log.length; at++) offsets.add(at);
  return offsets;
}

async function diskAfter(log: Buffer, sha256?: string): Promise<Uint8Array> {
  const source = memorySource(log);
  const expectations = { diskSizeBytes, ...(sha256 === undefined ? {} : { sha256 }) };
  const { log: verified } = await verifyHrl(source, expectations);
  const target = memoryTarget(new Uint8Array(diskSizeBytes));
  await applyMerge({ source, segments: planMerge(verified.entries), target });
  return target.disk;
}

describe('one changed byte', () => {
  it('with data checksums: anywhere but in unused slots and after the end it is refused, there it is harmless', async () => {
    const log = smallLog(true);
    const clean = await diskAfter(log);
    const unprotected = await unprotectedOffsets(log);
    expect(unprotected.size).toBeGreaterThan(slack);
    // Every byte of metadata, every 31st of the data; the changes differ from byte to byte.
    const { entries } = await readHrl(memorySource(log));
    const isData = new Uint8Array(log.length);
    entries.dataOffsets.forEach((from, index) => isData.fill(1, from, from + entries.lengths[index]!));
    let refused = 0;
    for (let at = 0; at < log.length; at++) {
      if (isData[at] === 1 && at % 31 !== 0) continue;
      const original = log[at]!;
      log[at] = original ^ (1 + ((at * 131) % 255));
      if (unprotected.has(at)) {
        // Looked at whole for some of them only: the rest is the same claim about the same kind of byte.
        if (at % 16 === 0) expect(Buffer.compare(await diskAfter(log), clean), `byte ${at}`).toBe(0);
      } else {
        await expect(verifyHrl(memorySource(log), { diskSizeBytes }), `byte ${at}`).rejects.toThrow(HrlError);
        refused++;
      }
      log[at] = original;
    }
    expect(refused).toBeGreaterThan(5000);
  });

  it('without data checksums: only the data itself is unprotected as well', async () => {
    const log = smallLog(false);
    const { entries } = await readHrl(memorySource(log));
    const firstData = entries.dataOffsets[0]!;
    log[firstData]! ^= 1;
    await expect(verifyHrl(memorySource(log), { diskSizeBytes })).resolves.toBeDefined();
    for (const at of [firstData - 1024, firstData - 1024 + 31, 20, 4095]) {
      const broken = smallLog(false);
      broken[at]! ^= 1;
      await expect(verifyHrl(memorySource(broken), { diskSizeBytes }), `byte ${at}`).rejects.toThrow(
        HrlError,
      );
    }
  });

  it('with a digest beside the log: everywhere it is refused', async () => {
    const log = smallLog(false);
    const { sha256 } = await verifyHrl(memorySource(log), { diskSizeBytes });
    await fc.assert(
      fc.asyncProperty(fc.nat(log.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const broken = Buffer.from(log);
        broken[at]! ^= change;
        await expect(verifyHrl(memorySource(broken), { diskSizeBytes, sha256 })).rejects.toThrow(HrlError);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('arbitrary damage', () => {
  it('many changed bytes, or a cut, end in HrlError or in a log that can be planned; never in anything else', async () => {
    const damage = fc.array(fc.tuple(fc.nat(1_000_000), fc.nat(255)), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, damage, fc.option(fc.nat(1_000_000)), async (some, changes, cut) => {
        const log = logOf(some, { metadataSizeBytes: 512 });
        for (const [at, value] of changes) log[at % log.length] = value;
        const file = cut === null ? log : log.subarray(0, cut % log.length);
        try {
          const { log: read } = await verifyHrl(memorySource(file), { diskSizeBytes });
          planMerge(read.entries);
        } catch (error) {
          expect(error).toBeInstanceOf(HrlError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('bytes that are no log at all end in HrlError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 10_000 }), async (bytes) => {
        await expect(verifyHrl(memorySource(bytes), { diskSizeBytes })).rejects.toThrow(HrlError);
      }),
    );
  });
});

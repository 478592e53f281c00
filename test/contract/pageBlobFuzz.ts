// Random writes, clears and snapshots against a plain byte array, for any adapter.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ByteRange, PageBlobPort } from '../../lib/storage/ports.ts';
import { expectBytes, freshName, patternBytes } from './outcomes.ts';

const pages = 300;
const sizeBytes = pages * 512;

type Step =
  { kind: 'write' | 'clear'; firstPage: number; pageCount: number; seed: number } | { kind: 'snapshot' };

const stretch = fc
  .tuple(fc.nat(pages - 1), fc.integer({ min: 1, max: pages }))
  .map(([firstPage, count]) => ({ firstPage, pageCount: Math.min(count, pages - firstPage) }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(stretch, fc.nat(250)).map(([at, seed]): Step => ({ kind: 'write', ...at, seed })),
  },
  { weight: 2, arbitrary: stretch.map((at): Step => ({ kind: 'clear', ...at, seed: 0 })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'snapshot' }) },
);

/** What the blob should hold: its bytes, and for each page whether it was written. */
class Model {
  readonly bytes: Uint8Array;
  readonly isWritten: boolean[];

  constructor(bytes = new Uint8Array(sizeBytes), isWritten = new Array<boolean>(pages).fill(false)) {
    this.bytes = bytes;
    this.isWritten = isWritten;
  }

  copy(): Model {
    return new Model(this.bytes.slice(), [...this.isWritten]);
  }

  ranges(): ByteRange[] {
    const ranges: ByteRange[] = [];
    this.isWritten.forEach((written, page) => {
      const last = ranges.at(-1);
      if (!written) return;
      if (last !== undefined && last.offsetBytes + last.lengthBytes === page * 512) last.lengthBytes += 512;
      else ranges.push({ offsetBytes: page * 512, lengthBytes: 512 });
    });
    return ranges;
  }
}

export function pageBlobFuzz(adapter: string, make: () => PageBlobPort): void {
  test(`page blobs (${adapter}): any sequence of writes, clears and snapshots equals a byte array`, async () => {
    const port = make();
    const whole = { offsetBytes: 0, lengthBytes: sizeBytes };
    const runSteps = async (steps: Step[]) => {
      const name = freshName('fuzz');
      await port.create(name, sizeBytes);
      const model = new Model();
      const snapshots = new Map<string, Model>();
      for (const step of steps) {
        if (step.kind === 'snapshot') {
          snapshots.set(await port.snapshot(name, {}), model.copy());
          continue;
        }
        const range = { offsetBytes: step.firstPage * 512, lengthBytes: step.pageCount * 512 };
        const data =
          step.kind === 'write'
            ? patternBytes(range.lengthBytes, step.seed)
            : new Uint8Array(range.lengthBytes);
        if (step.kind === 'write') await port.writePages(name, range.offsetBytes, data);
        else await port.clearPages(name, range);
        model.bytes.set(data, range.offsetBytes);
        model.isWritten.fill(step.kind === 'write', step.firstPage, step.firstPage + step.pageCount);
      }
      for (const [snapshotId, expected] of [[undefined, model] as const, ...snapshots]) {
        expectBytes(await port.read(name, whole, snapshotId), expected.bytes);
        expect(await port.listRanges(name, whole, snapshotId)).toEqual(expected.ranges());
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 24 }), runSteps), { numRuns: 40 });
  });
}

// One pass over a table of an image when it is opened, so that a wrong entry is found before anything is read.
import type { ReadInto } from './pageCache.ts';

const chunkBytes = 1024 * 1024;

/** Where the table is. `entryBytes` divides 1 MiB. */
export interface TablePlace {
  offsetBytes: number;
  entryBytes: number;
  count: number;
}

/** Calls `visit` for every entry, with a chunk of the table and where in it the entry begins. */
export async function scanTable(
  readInto: ReadInto,
  { offsetBytes, entryBytes, count }: TablePlace,
  visit: (index: number, chunk: Buffer, at: number) => void,
): Promise<void> {
  const totalBytes = count * entryBytes;
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, totalBytes));
  let index = 0;
  for (let done = 0; done < totalBytes; done += chunkBytes) {
    const chunk = buffer.subarray(0, Math.min(chunkBytes, totalBytes - done));
    await readInto(chunk, offsetBytes + done);
    for (let at = 0; at < chunk.length; at += entryBytes) visit(index++, chunk, at);
  }
}

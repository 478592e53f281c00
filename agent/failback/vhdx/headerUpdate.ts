// Changing the headers of a VHDX (MS-VHDX 2.2.2): the header that does not count is written with a higher sequence number
// and flushed, and counts from then on; so one of the two is valid at every moment.
import { randomUUID } from 'node:crypto';
import { guidToMixedEndian } from '../../disk/guid.ts';
import { crc32cWithField } from '../../disk/vhdx/crc32c.ts';
import { headerOffsets, readCurrentHeader } from '../../disk/vhdx/header.ts';
import type { ContainerFile } from '../containerFile.ts';

const field = { checksum: 4, sequenceNumber: 8, fileWriteGuid: 16, dataWriteGuid: 32, logGuid: 48 } as const;

/** What the change of the headers announces, or has done. Every change has a new FileWriteGuid. */
export interface HeaderChange {
  /** The bytes of the disk change from now on: what counts on the old ones, a child say, must see that they are others. */
  newDataWriteGuid?: boolean;
  /** What the log had is in the file, and durable. */
  endsLog?: boolean;
}

/** Puts the checksum of a structure into its place. */
export function seal(structure: Buffer): Buffer {
  structure.writeUInt32LE(crc32cWithField(structure, field.checksum), field.checksum);
  return structure;
}

/** Bytes of a GUID that nobody had before. */
export const newGuid = (): Buffer => guidToMixedEndian(randomUUID());

/**
 * Durable when it resolves. Both headers say the same then: an old one that still named a log would have it replayed over
 * what was written since, if the new one were damaged.
 */
export async function changeHeaders(file: ContainerFile, change: HeaderChange): Promise<void> {
  for (const isFirst of [true, false]) {
    const { bytes, offsetBytes } = await readCurrentHeader(file);
    const next = Buffer.from(bytes);
    if (isFirst) {
      newGuid().copy(next, field.fileWriteGuid);
      if (change.newDataWriteGuid) newGuid().copy(next, field.dataWriteGuid);
      if (change.endsLog) next.fill(0, field.logGuid, field.logGuid + 16);
    }
    next.writeBigUInt64LE(next.readBigUInt64LE(field.sequenceNumber) + 1n, field.sequenceNumber);
    const [one, other] = headerOffsets;
    await file.write(offsetBytes === one ? other : one, seal(next));
    await file.flush();
  }
}

// The structures of a VHDX, read and checked before anything else is done with it.
import type { ImageBytes } from '../imageFile.ts';
import { checkBlockTable } from './blockTable.ts';
import { readVhdxHeader, type VhdxHeader } from './header.ts';
import { overlayReads, readPendingLog, type PendingLog } from './log.ts';
import { readVhdxMetadata, type VhdxMetadata } from './metadata.ts';
import { readRegions, type OverlaidFile, type VhdxRegions } from './regions.ts';

export interface VhdxStructures {
  header: VhdxHeader;
  log: PendingLog;
  /** The file as it is once the log is replayed. */
  overlaid: OverlaidFile;
  regions: VhdxRegions;
  metadata: VhdxMetadata;
}

/** Throws `DiskImageCorrupt` and `DiskImageUnsupported`. */
export async function readVhdxStructures(file: ImageBytes): Promise<VhdxStructures> {
  const header = await readVhdxHeader(file);
  const log = await readPendingLog(file, header);
  const overlaid: OverlaidFile = {
    path: file.path,
    sizeBytes: log.fileSizeBytes,
    readInto: overlayReads(file, log),
  };
  const regions = await readRegions(overlaid);
  const metadata = await readVhdxMetadata(overlaid, regions.metadata);
  await checkBlockTable({ file: overlaid, header, regions, metadata });
  return { header, log, overlaid, regions, metadata };
}

// Brings the pending log of a VHDX into its file, as the host itself does when it opens the disk after a crash (MS-VHDX 2.3.3).
import { imageCorrupt } from '../../disk/errors.ts';
import { mebibyte } from '../../disk/vhdx/header.ts';
import type { LoggedWrite } from '../../disk/vhdx/logEntry.ts';
import type { VhdxStructures } from '../../disk/vhdx/structures.ts';
import type { ContainerFile } from '../containerFile.ts';
import { changeHeaders } from './headerUpdate.ts';

const zeros = Buffer.alloc(mebibyte);
/** Identifier and headers, which are never logged. */
const headerSectionBytes = 192 * 1024;

/** Throws `DiskImageCorrupt` for a log that would write over the headers or over itself. */
function requireReplayable(file: ContainerFile, { header, log }: VhdxStructures): void {
  const logEnd = header.logOffsetBytes + header.logLengthBytes;
  const wrong = log.writes.find(
    ({ offsetBytes, lengthBytes }) =>
      lengthBytes > 0 &&
      (offsetBytes < headerSectionBytes ||
        (offsetBytes < logEnd && offsetBytes + lengthBytes > header.logOffsetBytes)),
  );
  if (wrong) throw imageCorrupt(file.path, `its log writes over headers or log, at ${wrong.offsetBytes}`);
}

async function replay(file: ContainerFile, { offsetBytes, lengthBytes, data }: LoggedWrite): Promise<void> {
  if (data) return file.write(offsetBytes, data);
  for (let done = 0; done < lengthBytes; done += zeros.length)
    await file.write(offsetBytes + done, zeros.subarray(0, Math.min(zeros.length, lengthBytes - done)));
}

/**
 * The log is empty and durable when it resolves; nothing is done where it was. May be called again after a failure or a
 * crash: the log stays pending until all of it is in the file, and the same writes come to the same.
 */
export async function replayPendingLog(file: ContainerFile, structures: VhdxStructures): Promise<void> {
  const { header, log } = structures;
  if (header.logGuid === undefined) return;
  requireReplayable(file, structures);
  await changeHeaders(file, {});
  if (log.fileSizeBytes > file.sizeBytes) await file.setSize(log.fileSizeBytes);
  for (const write of log.writes) await replay(file, write);
  await file.flush();
  await changeHeaders(file, { endsLog: true });
}

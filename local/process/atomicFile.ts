// Small state files that a reader never sees half-written: written aside, synced, renamed into place.
import { open, rename, rm } from 'node:fs/promises';

/** Replaces `path` with `text`, readable by this user only. Leaves the old file when it fails. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

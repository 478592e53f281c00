// One host per data directory. The lock file names the holder and the Azurite it started, because a host that
// was killed leaves an Azurite that still writes: the next host must wait until that one has flushed and ended.
// Invariant: two hosts never believe to hold the same lock, and no Azurite starts before the old one ended.
import { dirname } from 'node:path';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomically } from './atomicFile.ts';
import { type ProcessIdentity, identityOf, isRunning } from './processIdentity.ts';
import { StartError, errnoOf, reasonOf } from './startError.ts';

interface LockContent {
  host: ProcessIdentity;
  azurite?: ProcessIdentity;
}

export interface HostLock {
  /** Records the Azurite of this host; call before it opens a file. */
  recordAzurite(pid: number): Promise<void>;
  /** Gives the lock back. May be called twice. */
  release(): Promise<void>;
}

const orphanWaitMs = 15_000;

/**
 * Takes the lock; throws StartError when another host holds it, naming its pid, or when the Azurite of a killed
 * host does not end within 15 s.
 */
export async function acquireHostLock(path: string, onWait: (message: string) => void): Promise<HostLock> {
  const content: LockContent = { host: identityOf() };
  // Each round either wins, finds a live holder, or removes one dead holder; two rounds suffice without rivals.
  for (let round = 0; round < 5; round++) {
    if (await tryCreate(path, content)) {
      return {
        recordAzurite: (pid) => writeFileAtomically(path, format({ ...content, azurite: identityOf(pid) })),
        release: () => releaseOwn(path, content.host.pid),
      };
    }
    await clearStale(path, onWait);
  }
  throw new StartError(`Cannot take the lock ${path}: other hosts start at the same time. Start again.`);
}

function format(content: LockContent): string {
  return `${JSON.stringify(content)}\n`;
}

/** `link` makes the lock appear whole or not at all, and fails when there is one. */
async function tryCreate(path: string, content: LockContent): Promise<boolean> {
  const own = `${path}.${process.pid}`;
  await writeFile(own, format(content), { mode: 0o600 });
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw new StartError(`Cannot create the lock ${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    await rm(own, { force: true });
  }
}

async function clearStale(path: string, onWait: (message: string) => void): Promise<void> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw new StartError(
      `Cannot read the lock ${path}: ${reasonOf(error)}. If no local host runs there, remove it.`,
      {
        cause: error,
      },
    );
  }
  const { host, azurite } = parse(path, text);
  if (isRunning(host)) {
    throw new StartError(
      `The data directory ${dirname(path)} is in use by another local host (process ${host.pid}). ` +
        'Stop that one, or name another folder with --data-dir.',
    );
  }
  if (azurite !== undefined) await waitForEnd(azurite, onWait);
  // Two starters may come here at once: only one renames, and it looks at what it has got.
  const aside = `${path}.stale-${process.pid}`;
  await rename(path, aside).catch(() => undefined);
  const taken = await readFile(aside, 'utf8').catch(() => undefined);
  if (taken !== undefined && taken !== text) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function waitForEnd(azurite: ProcessIdentity, onWait: (message: string) => void): Promise<void> {
  const deadline = Date.now() + orphanWaitMs;
  let told = false;
  while (isRunning(azurite)) {
    if (!told)
      onWait(`The last host was killed; waiting for its Azurite (process ${azurite.pid}) to save its data.`);
    told = true;
    if (Date.now() > deadline) {
      throw new StartError(
        `Azurite (process ${azurite.pid}) of an earlier host still runs after ${orphanWaitMs / 1000} s. End that process, then start again.`,
      );
    }
    await sleep(50);
  }
}

function parse(path: string, text: string): LockContent {
  try {
    const content = JSON.parse(text) as LockContent;
    if (Number.isInteger(content.host.pid)) return content;
  } catch {
    // Falls through: one message for everything that is not a lock.
  }
  throw new StartError(
    `The lock ${path} is not readable as one. If no local host runs there, remove the file.`,
  );
}

async function releaseOwn(path: string, pid: number): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text !== undefined && parse(path, text).host.pid === pid) await rm(path, { force: true });
}

// Notices that the built app or its settings changed, by looking at a few files now and then: folders that a build
// removes and makes again, or that are mounted from elsewhere, defeat file system events.
// Invariant: a change is one of content, since builds write the same bytes again, and it is reported only when it is
// complete, that is when all entry points are there and rest.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findEntryPoints, readAppPackage } from '../worker/entryPoints.ts';

const lookEveryMs = 700;
/** How long files must stay the same to count as complete. */
const restMs = 200;
const settingsFiles = ['package.json', 'host.json', 'local.settings.json', 'local.settings.sample.json'];

export class AppChanges {
  readonly #appDirectory: string;
  /** Digest of each file that was read, and the time and size it had then. */
  readonly #digests = new Map<string, { stamp: string; digest: string }>();

  constructor(appDirectory: string) {
    this.#appDirectory = appDirectory;
  }

  /** Names and digests of the watched files as one text; undefined while an entry point is missing. */
  async snapshot(): Promise<string | undefined> {
    let entryPoints: string[];
    try {
      const { main } = await readAppPackage(this.#appDirectory);
      entryPoints = await findEntryPoints(this.#appDirectory, main);
    } catch {
      // Being built, or broken: the host that starts next says so better.
      return undefined;
    }
    const files = [...entryPoints, ...settingsFiles.map((name) => join(this.#appDirectory, name))];
    const lines = await Promise.all(files.map(async (file) => `${file} ${await this.#digestOf(file)}`));
    return lines.join('\n');
  }

  /** Resolves when the app differs from the snapshot `since` and rests; never after the signal. */
  async wait(since: string | undefined, signal: AbortSignal): Promise<void> {
    let earlier = since;
    for (;;) {
      await sleep(earlier === since ? lookEveryMs : restMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return new Promise(() => undefined);
      const now = await this.snapshot();
      if (now !== undefined && now !== since && now === earlier) return;
      earlier = now;
    }
  }

  async #digestOf(file: string): Promise<string> {
    try {
      const { mtimeMs, size } = await stat(file);
      const stamp = `${mtimeMs} ${size}`;
      const known = this.#digests.get(file);
      if (known?.stamp === stamp) return known.digest;
      const digest = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      this.#digests.set(file, { stamp, digest });
      return digest;
    } catch {
      return 'missing';
    }
  }
}

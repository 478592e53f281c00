// Finds the service that `npm start` runs: the local host writes its address and key into local.json when it is ready
// and removes the file when it stops.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { AgentError } from './agentError.ts';
import { errnoOf, readError } from './fileErrors.ts';

const localInfo = z.object({
  url: z.url(),
  adminKey: z.string().min(1),
  vaultPath: z.string(),
  storageConnectionString: z.string(),
});
/** What local.json says. `storageConnectionString` and `adminKey` are secrets. */
export type LocalService = z.infer<typeof localInfo>;

/** Reads `local.json` of a data directory (or the file itself). Throws AgentError `LocalServiceNotRunning`. */
export async function readLocalService(directoryOrFile: string): Promise<LocalService> {
  const path = directoryOrFile.endsWith('.json') ? directoryOrFile : join(directoryOrFile, 'local.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw readError(error, path);
    const message = `No local service runs: ${path} does not exist.`;
    const action =
      'Start one with "npm start", or name a service with --service and --key (LIFEBOAT_URL, LIFEBOAT_KEY).';
    throw new AgentError('LocalServiceNotRunning', message, action);
  });
  const parsed = localInfo.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problem = parsed.error.issues
    .map(({ path: at, message }) => `${at.join('.')}: ${message}`)
    .join('; ');
  throw new AgentError(
    'LocalServiceNotRunning',
    `${path} is not valid. ${problem}`,
    'Stop and start the local host.',
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

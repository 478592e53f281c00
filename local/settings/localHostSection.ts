// The optional `localHost` section of the app's package.json: what an app wants from a local host without the
// host knowing the app. Secrets are made once, kept in the data directory, and given as settings.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { array, object, optional, record, string, treeifyError } from 'zod';
import { writeFileAtomically } from '../process/atomicFile.ts';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';

/** `secrets`: settings to generate; `publicUrlSetting`: gets the host's URL; `info`: entries of local.json. */
export interface LocalHostSection {
  secrets: string[];
  publicUrlSetting?: string;
  /** Entry name → name of a setting, or a text with `%SETTING%` placeholders. */
  info: Record<string, string>;
}

const settingName = string().min(1);
const sectionSchema = object({
  secrets: optional(array(settingName)),
  publicUrlSetting: optional(settingName),
  info: optional(record(string(), string())),
});

/** Throws StartError for a section of another shape. */
export function parseLocalHostSection(section: unknown): LocalHostSection {
  const parsed = sectionSchema.safeParse(section ?? {});
  if (!parsed.success) {
    throw new StartError(
      `"localHost" of package.json is not valid: ${JSON.stringify(treeifyError(parsed.error))}. Correct it.`,
    );
  }
  const { secrets = [], publicUrlSetting, info = {} } = parsed.data;
  return { secrets, info, ...(publicUrlSetting === undefined ? {} : { publicUrlSetting }) };
}

/** The named secrets; new ones (32 random bytes, base64url) are added to the file, old ones never change. */
export async function readOrCreateSecrets(
  file: string,
  names: readonly string[],
): Promise<Record<string, string>> {
  const secrets = await readSecrets(file);
  const missing = names.filter((name) => secrets[name] === undefined);
  for (const name of missing) secrets[name] = randomBytes(32).toString('base64url');
  if (missing.length > 0) await writeFileAtomically(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return Object.fromEntries(names.map((name) => [name, secrets[name] ?? '']));
}

async function readSecrets(file: string): Promise<Record<string, string>> {
  try {
    return record(string(), string()).parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new StartError(
      `Cannot read ${file}: ${reasonOf(error)}. Correct it, or remove it (clients then need the new keys).`,
      { cause: error },
    );
  }
}

/** Values of the `info` entries; an entry whose setting does not exist is left out. */
export function toInfo(section: LocalHostSection, environment: NodeJS.ProcessEnv): Record<string, string> {
  const info: Record<string, string> = {};
  for (const [key, source] of Object.entries(section.info)) {
    const value = source.includes('%')
      ? source.replaceAll(/%([^%]+)%/g, (_, name: string) => environment[name] ?? '')
      : environment[source];
    if (value !== undefined) info[key] = value;
  }
  return info;
}

// Puts the app's settings into the environment, where the app reads them, before it is loaded.
// Precedence: environment, local.settings.json (or its sample when that is missing), then what the host sets.
// Invariant: nothing that the environment or the file gives is overridden, except that a value of exactly
// `UseDevelopmentStorage=true` becomes the connection string of this host's Azurite.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { boolean, object, optional, string, stringbool, union } from 'zod';
import { type CorsPolicy, parseCorsPolicy } from '../http/cors.ts';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';

const developmentStorage = 'UseDevelopmentStorage=true';

/** What the app's settings file says. */
export interface SettingsFile {
  /** `Values`, as strings. */
  values: Record<string, string>;
  /** Undefined when `Host.CORS` names no origin. */
  cors: CorsPolicy | undefined;
}

/** Empty when there is no file. Throws StartError for a broken one. */
export async function readSettingsFile(appDirectory: string): Promise<SettingsFile> {
  for (const name of ['local.settings.json', 'local.settings.sample.json']) {
    const file = join(appDirectory, name);
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue;
      throw new StartError(
        `Cannot read ${file}: ${reasonOf(error)}. Correct its permissions, or remove it.`,
        { cause: error },
      );
    }
    const content = parseJson(file, text);
    return { values: parseValues(file, content), cors: parseCors(file, content) };
  }
  return { values: {}, cors: undefined };
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new StartError(`${file} is not valid JSON: ${reasonOf(error)}. Correct the file.`, {
      cause: error,
    });
  }
}

function parseValues(file: string, content: unknown): Record<string, string> {
  const values = (content as { Values?: unknown } | null)?.Values ?? {};
  if (typeof values !== 'object')
    throw new StartError(`"Values" of ${file} must be an object of settings. Correct the file.`);
  const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value);
  const wrong = Object.entries(values).find(([, value]) => !isScalar(value));
  if (wrong !== undefined)
    throw new StartError(`The setting "${wrong[0]}" of ${file} must be a string. Correct the file.`);
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

const hostSection = object({
  CORS: optional(string()),
  CORSCredentials: optional(union([boolean(), stringbool()])),
});

function parseCors(file: string, content: unknown): CorsPolicy | undefined {
  const section = hostSection.safeParse((content as { Host?: unknown } | null)?.Host ?? {});
  if (!section.success) {
    const issue = section.error.issues[0];
    throw new StartError(
      `"Host.${issue?.path.join('.') ?? ''}" of ${file} is not valid: ${issue?.message ?? ''}. Correct the file.`,
    );
  }
  const { CORS: origins = '', CORSCredentials: allowsCredentials = false } = section.data;
  return parseCorsPolicy(origins, allowsCredentials, `"Host.CORS" of ${file}`);
}

/** Applies settings to `environment` in the order of precedence; `hostDefaults` come last. */
export function applySettings(
  environment: NodeJS.ProcessEnv,
  layers: {
    fileValues: Record<string, string>;
    hostDefaults: Record<string, string>;
    storageConnectionString: string;
  },
): void {
  const { hostDefaults, fileValues } = layers;
  // An empty value in the file is a blank to fill in: what the host knows goes there.
  const given = Object.entries(fileValues).filter(([name, value]) => value !== '' || !(name in hostDefaults));
  for (const [name, value] of Object.entries({ ...hostDefaults, ...Object.fromEntries(given) }))
    environment[name] ??= value;
  for (const [name, value] of Object.entries(environment)) {
    if (value === developmentStorage) environment[name] = layers.storageConnectionString;
  }
}

/** Replaces each `%NAME%` by that setting; throws Error that names a setting which is not there. */
export function resolveSettings(text: string, environment: NodeJS.ProcessEnv): string {
  return text.replaceAll(/%([^%]+)%/g, (_, name: string) => {
    const value = environment[name];
    if (value === undefined)
      throw new Error(`%${name}% in "${text}" names a setting that does not exist. Add it to the settings.`);
    return value;
  });
}

/** What the host itself sets when nobody else does. */
export function toHostDefaults(host: {
  appDirectory: string;
  storageConnectionString: string;
}): Record<string, string> {
  return {
    AzureWebJobsStorage: host.storageConnectionString,
    FUNCTIONS_WORKER_RUNTIME: 'node',
    AZURE_FUNCTIONS_ENVIRONMENT: 'Development',
    AzureWebJobsScriptRoot: host.appDirectory,
  };
}

/** Names this app's blobs and queues in its storage account: 32 characters of a-z, 0-9 and '-'. */
export function toHostId(packageName: string | undefined, environment: NodeJS.ProcessEnv): string {
  const wanted = environment['AzureFunctionsWebHost__hostid'] ?? packageName ?? '';
  const id = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 32)
    .replaceAll(/^-+|-+$/g, '');
  return id === '' ? 'localhost' : id;
}

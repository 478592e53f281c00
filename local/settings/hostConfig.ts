// The members of the app's host.json that this host honours, with the real host's defaults.
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { int, object, record, string } from 'zod';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';
import { parseTimeSpanMs } from './timeSpan.ts';

export interface HostConfig {
  /** Undefined when invocations may take for ever. */
  functionTimeoutMs: number | undefined;
  routePrefix: string;
  blobs: { maxDegreeOfParallelism: number; poisonBlobThreshold: number };
  durableTask: { hubName: string; maxConcurrentActivities?: number };
  /** Category prefix → level name as written; `default` for all others. */
  logLevels: Record<string, string>;
}

const positive = int().min(1);
const unlimited = '-1';
const timeSpan = string().refine(
  (text) => text === unlimited || (parseTimeSpanMs(text) ?? 0) > 0,
  'it must be a time span like "00:05:00", or "-1" for no limit',
);
const schema = object({
  functionTimeout: timeSpan.default('00:30:00'),
  logging: object({ logLevel: record(string(), string()).default({}) }).prefault({}),
  extensions: object({
    http: object({ routePrefix: string().default('api') }).prefault({}),
    blobs: object({
      maxDegreeOfParallelism: positive.default(8 * cpus().length),
      poisonBlobThreshold: positive.default(5),
    }).prefault({}),
    durableTask: object({
      hubName: string().min(1).default('TestHubName'),
      maxConcurrentActivityFunctions: positive.optional(),
    }).prefault({}),
  }).prefault({}),
});

/** Throws StartError when host.json is not JSON or a member has the wrong type; a missing file means defaults. */
export async function readHostConfig(appDirectory: string): Promise<HostConfig> {
  const file = join(appDirectory, 'host.json');
  const parsed = schema.safeParse(await readJson(file));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new StartError(
      `${file} is not valid at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? ''}. Correct the file.`,
    );
  }
  const { functionTimeout, logging, extensions } = parsed.data;
  const { hubName, maxConcurrentActivityFunctions: maxConcurrentActivities } = extensions.durableTask;
  return {
    functionTimeoutMs: functionTimeout === unlimited ? undefined : parseTimeSpanMs(functionTimeout),
    routePrefix: extensions.http.routePrefix,
    blobs: extensions.blobs,
    durableTask: { hubName, ...(maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities }) },
    logLevels: logging.logLevel,
  };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new StartError(`Cannot read ${file}: ${reasonOf(error)}. Correct the file.`, { cause: error });
  }
}

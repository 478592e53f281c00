// A request whose answer was lost comes again with the same x-ms-client-request-id: it gets the first answer, not a second job.
// Rows in the table `access`, a partition a day, kept for a day at least.
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import type { ApiResponse } from './http.ts';

/** After so long a first attempt that has not answered is taken for dead: its process was killed. */
const attemptMs = 60_000;
const rememberedMs = 24 * 3600 * 1000;
/** Larger answers are not kept; no changing operation has one. */
const answerLimitChars = 100_000;

const row = z.object({
  startedAt: z.iso.datetime(),
  answer: z
    .object({ status: z.number(), headers: z.record(z.string(), z.string()), body: z.unknown() })
    .nullable(),
});

export const requestsPartition = (at: Date): string => `requests:${at.toISOString().slice(0, 10)}`;

export interface RepeatedRequest {
  clientRequestId: string;
  caller: string;
  method: string;
  path: string;
  query: string;
  body: string;
}

const keyOf = ({ clientRequestId, caller, method, path, query, body }: RepeatedRequest): string => {
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const about = [clientRequestId.toLowerCase(), caller, method, path.toLowerCase(), query, bodyHash];
  return createHash('sha256').update(JSON.stringify(about)).digest('hex');
};

async function findEarlier(access: TablePort, key: string, now: Date) {
  for (const at of [now, new Date(now.getTime() - rememberedMs)]) {
    const partition = requestsPartition(at);
    const found = await access.find(partition, key);
    if (found) return { partition, etag: found.etag, ...row.parse(found.value) };
  }
  return undefined;
}

const stillRunning = (): LifeboatError =>
  new LifeboatError('StorageUnavailable', 'The same request is being processed; ask again in a moment.');

type Earlier = Awaited<ReturnType<typeof findEarlier>>;

/** What the first time answered, while it is remembered. Throws `StorageUnavailable` while the first time runs. */
function answerOf(earlier: Earlier, now: Date): ApiResponse | undefined {
  if (!earlier) return undefined;
  const ageMs = now.getTime() - Date.parse(earlier.startedAt);
  if (!earlier.answer) {
    if (ageMs < attemptMs) throw stillRunning();
    return undefined;
  }
  if (ageMs >= rememberedMs) return undefined;
  const { status, headers, body } = earlier.answer;
  return { status, headers, ...(body === null ? {} : { body }) };
}

/** Marks the request as begun, or returns the answer of its first time. Throws `StorageUnavailable` while that runs. */
async function begin(
  access: TablePort,
  key: string,
  now: Date,
): Promise<{ answer: ApiResponse } | { partition: string }> {
  const earlier = await findEarlier(access, key, now);
  const answer = answerOf(earlier, now);
  if (answer) return { answer };
  const partition = requestsPartition(now);
  const value = { startedAt: now.toISOString(), answer: null };
  try {
    await access.transact(partition, [
      earlier?.partition === partition
        ? { kind: 'replace', key, value, etag: earlier.etag }
        : { kind: 'insert', key, value },
    ]);
  } catch (error) {
    if (isLifeboatError(error, 'PreconditionFailed')) throw stillRunning();
    throw error;
  }
  return { partition };
}

async function forget(access: TablePort, partition: string, key: string): Promise<void> {
  const found = await access.find(partition, key);
  if (found) await access.transact(partition, [{ kind: 'delete', key, etag: found.etag }]);
}

/**
 * Runs `work` once for the request and its repetitions within a day, and gives all of them its answer. What failed is not
 * remembered: the same request may succeed later.
 */
export async function answerOnce(
  access: TablePort,
  request: RepeatedRequest,
  now: Date,
  work: () => Promise<ApiResponse>,
): Promise<{ response: ApiResponse; isRepetition: boolean }> {
  const key = keyOf(request);
  const begun = await begin(access, key, now);
  if ('answer' in begun) return { response: begun.answer, isRepetition: true };
  let response: ApiResponse;
  try {
    response = await work();
  } catch (error) {
    await forget(access, begun.partition, key);
    throw error;
  }
  const answer = { status: response.status, headers: response.headers ?? {}, body: response.body ?? null };
  const value = { startedAt: now.toISOString(), answer };
  if (JSON.stringify(value).length > answerLimitChars) await forget(access, begun.partition, key);
  else await access.transact(begun.partition, [{ kind: 'put', key, value }]);
  return { response, isRepetition: false };
}

// The source side of the client's tests: reports a machine, uploads its disks, ships cycles; plain HTTPS and the storage SDK.
import { AnonymousCredential, PageBlobClient, BlockBlobClient } from '@azure/storage-blob';
import { randomBytes, randomUUID } from 'node:crypto';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { independentLog } from '../support/independentHrl.ts';
import type { SdkService } from './client.ts';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: never;
}

/** A request as no client of ours would make it. */
export function send(
  { host, ca }: Pick<SdkService, 'host' | 'ca'>,
  method: string,
  path: string,
  { body, key, headers = {} }: { body?: unknown; key?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const bearer = key ?? String(host.local['adminKey']);
  return new Promise((resolve, reject) => {
    const url = new URL(path, host.url);
    const authorization = bearer === '' ? {} : { authorization: `Bearer ${bearer}` };
    const about = { ...authorization, 'content-type': 'application/json', ...headers };
    const outgoing = request(url, { method, ca, headers: about }, (response) => {
      void text(response).then((answer) => {
        const isJson = String(response.headers['content-type']).includes('json');
        const parsed = answer !== '' && isJson ? (JSON.parse(answer) as never) : (answer as never);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
      }, reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const diskBytes = 64 * 1024;

export const machineReport = (ids: readonly string[]) => ({
  host: { name: 'hv1.contoso.local' },
  machines: ids.map((id) => ({
    ...{ id, name: `${id}.contoso.local`, generation: '2', osType: 'Linux', cpuCount: 2, memoryMb: 4096 },
    nics: [{ id: 'nic1', network: 'Production', ipAddresses: ['10.0.0.4'] }],
    disks: [{ id: 'os', name: `${id}-os.vhdx`, sizeBytes: diskBytes }],
  })),
});

interface Assignment {
  item: string;
  phase: string;
  nextCycle: number;
  disks: {
    disk: string;
    initialReplication: { uploadUrl?: string };
    delta: { uploadUrl: string; previousUniqueId: string | null };
  }[];
}

export async function findAssignment(service: SdkService, item: string): Promise<Assignment | undefined> {
  const { body } = await send(service, 'GET', '/agent/v1/assignments');
  return (body as { value: Assignment[] }).value.find((each) => each.item === item);
}

const anonymous = new AnonymousCredential();

/** Uploads the machine's disk and says that it is there. */
export async function copyDisk(service: SdkService, item: string): Promise<void> {
  const assignment = await findAssignment(service, item);
  const url = assignment?.disks[0]?.initialReplication.uploadUrl ?? '';
  const bytes = randomBytes(diskBytes);
  await new PageBlobClient(url, anonymous).uploadPages(bytes, 0, bytes.length);
  await send(service, 'POST', `/agent/v1/items/${item}/disks/os/initialReplication/complete`, {
    body: { pointInTime: new Date().toISOString() },
  });
}

/** Ships a log with one write as the next cycle. */
export async function shipCycle(service: SdkService, item: string): Promise<void> {
  const delta = (await findAssignment(service, item))?.disks[0]?.delta;
  if (!delta) throw new Error(`${item} has no assignment`);
  const write = { offset: 4096, data: randomBytes(512) };
  const log = independentLog([write], randomUUID(), delta.previousUniqueId ?? undefined);
  await new BlockBlobClient(delta.uploadUrl, anonymous).upload(log, log.length, {
    metadata: { takenat: new Date().toISOString() },
  });
}

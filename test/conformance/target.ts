// What the suite runs against: a host that somebody else runs, named by the environment, or the embedded one, started here.
// CONFORMANCE_URL and CONFORMANCE_STORAGE go together: the app's base URL and the connection string of its storage.
import { join } from 'node:path';
import { startHost } from '../host/startHost.ts';
import { ownStorage } from './hostProcess.ts';

export interface Target {
  /** Base URL of the app, without a slash at the end. */
  url: string;
  /** Storage account of the app (its AzureWebJobsStorage). */
  storageConnectionString: string;
  /** What is printed. */
  description: string;
}

export const conformanceApp = join(import.meta.dirname, 'app');

const { CONFORMANCE_URL: givenUrl, CONFORMANCE_STORAGE: givenStorage } = process.env;

/** Cases that only hold here are skipped elsewhere. */
export const isEmbedded = givenUrl === undefined && givenStorage === undefined;

/** The master key of a host that asks for one; Core Tools takes any text. */
export const masterKey = process.env['CONFORMANCE_MASTER_KEY'];

/** How long a case waits for something that the host does by itself. Azure polls its queues, and scans for blobs by the minute. */
export const patienceMs =
  Number(process.env['CONFORMANCE_PATIENCE_SECONDS'] ?? (isEmbedded ? 60 : 300)) * 1000;

/** The given target, or the embedded host with strict mode on; that one ends with the test file. */
export async function openTarget(): Promise<Target> {
  if (isEmbedded) {
    const host = await startHost({ app: conformanceApp, args: ['--strict'], env: ownStorage });
    const { url, storageConnectionString } = host.local;
    return { url, storageConnectionString, description: `the embedded host, in strict mode, at ${url}` };
  }
  if (givenUrl === undefined || givenStorage === undefined) {
    throw new Error(
      `${givenUrl === undefined ? 'CONFORMANCE_URL' : 'CONFORMANCE_STORAGE'} is not set. ` +
        'Set both to run against a host of your own, none to run against the embedded one (docs/conformance.md).',
    );
  }
  const url = new URL(givenUrl).href.replace(/\/$/, '');
  await ping(url);
  return { url, storageConnectionString: givenStorage, description: url };
}

async function ping(url: string): Promise<void> {
  const response = await fetch(`${url}/api/ping`).catch((error: unknown) => error as Error);
  if (response instanceof Error || (await response.text()) !== 'pong') {
    const problem = response instanceof Error ? String(response.cause) : `status ${response.status}`;
    throw new Error(
      `${url}/api/ping does not answer "pong" (${problem}). Run test/conformance/app there first (docs/conformance.md).`,
    );
  }
}

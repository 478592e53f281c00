// The keys of the host, as Azure has them: `_master` opens everything, `default` every function, and a system key
// the webhook of its extension. Made once and kept in a file that only this user can read.
// Invariant: no answer depends on how much of a wrong key is right.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { readOrCreateSecrets } from '../settings/localHostSection.ts';

export type SystemKeyName = 'durabletask_extension' | 'blobs_extension';

/** What a request must show: nothing, a function key, the master key, or the key of one extension. */
export type Access = 'anonymous' | 'function' | 'admin' | { systemKey: SystemKeyName };

const masterKeyName = '_master';
const functionKeyName = 'default';
const systemKeyNames: readonly SystemKeyName[] = ['durabletask_extension', 'blobs_extension'];

export class HostKeys {
  readonly #keys: Readonly<Record<string, string>>;
  /** Path segment that the app's own Durable clients use; known to this process only. */
  readonly rpcSegment = randomBytes(32).toString('base64url');

  /** Use openHostKeys. */
  constructor(keys: Readonly<Record<string, string>>) {
    this.#keys = keys;
  }

  get masterKey(): string {
    return this.#get(masterKeyName);
  }

  get functionKey(): string {
    return this.#get(functionKeyName);
  }

  systemKey(name: SystemKeyName): string {
    return this.#get(name);
  }

  /** True when the request carries a key that suffices, in `x-functions-key` or else in the query as `code`. */
  permits(request: IncomingMessage, access: Access): boolean {
    if (access === 'anonymous') return true;
    const shown = findKey(request);
    if (shown === undefined) return false;
    const sufficient = [masterKeyName];
    if (access === 'function') sufficient.push(functionKeyName);
    else if (access !== 'admin') sufficient.push(access.systemKey);
    return sufficient.filter((name) => isSameSecret(shown, this.#get(name))).length > 0;
  }

  #get(name: string): string {
    const key = this.#keys[name];
    if (key === undefined) throw new Error(`The host key "${name}" is missing.`);
    return key;
  }
}

/** Reads the keys, and makes those that are missing. Throws StartError when the file is damaged. */
export async function openHostKeys(file: string): Promise<HostKeys> {
  return new HostKeys(await readOrCreateSecrets(file, [masterKeyName, functionKeyName, ...systemKeyNames]));
}

/** Compares in constant time, whatever the lengths. */
export function isSameSecret(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function findKey(request: IncomingMessage): string | undefined {
  const header = request.headers['x-functions-key'];
  if (typeof header === 'string') return header;
  const query = (request.url ?? '').split('?').slice(1).join('?');
  return new URLSearchParams(query).get('code') ?? undefined;
}

// A storage that counts what is asked of it: calls by port and method, and the rows and blobs that listings go through, which
// are what a call costs as the data grows.
import type { Storage } from '../../lib/storage/ports.ts';

export interface Counts {
  /** `items.find`, `replicas.writePages`, … */
  calls: Map<string, number>;
  /** Rows and blobs that listings yielded. */
  listed: number;
}

type Port = object;

/** The same storage; every call through it is added to the counts. */
export function countedStorage(storage: Storage): { storage: Storage; counts: Counts } {
  const counts: Counts = { calls: new Map(), listed: 0 };
  const ports = Object.entries(storage as unknown as Record<string, Port>);
  const counted = Object.fromEntries(ports.map(([name, port]) => [name, countedPort(name, port, counts)]));
  return { storage: counted as unknown as Storage, counts };
}

function countedPort(portName: string, port: Port, counts: Counts): Port {
  return new Proxy(port, {
    get(target, property, receiver) {
      const member: unknown = Reflect.get(target, property, receiver);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        const name = `${portName}.${String(property)}`;
        counts.calls.set(name, (counts.calls.get(name) ?? 0) + 1);
        const result: unknown = Reflect.apply(member, target, args);
        return isAsyncIterable(result) ? countedListing(result, counts) : result;
      };
    },
  });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function* countedListing(listing: AsyncIterable<unknown>, counts: Counts): AsyncIterable<unknown> {
  for await (const each of listing) {
    counts.listed++;
    yield each;
  }
}

export const totalCalls = ({ calls }: Counts): number =>
  [...calls.values()].reduce((sum, count) => sum + count, 0);

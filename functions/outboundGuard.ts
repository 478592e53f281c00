// Which addresses the service calls for people. Addresses of the public internet over https; what else may be called stands in the
// setting LIFEBOAT_ACTION_HOSTS. The addresses under which a cloud gives out its secrets are never called, whoever lists them.
import { BlockList, isIP } from 'node:net';

const list = (ranges: readonly [address: string, prefix: number][]): BlockList => {
  const made = new BlockList();
  for (const [address, prefix] of ranges)
    made.addSubnet(address, prefix, address.includes(':') ? 'ipv6' : 'ipv4');
  return made;
};

/** Metadata and wire server of the platform, link-local, multicast, reserved. */
const never = list([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['168.63.129.16', 32],
  ['224.0.0.0', 3],
  ['::', 128],
  ['fe80::', 10],
  ['fd00:ec2::', 32],
  ['ff00::', 8],
  // Addresses that carry one of the old kind: 6to4, Teredo, and the prefixes of translators.
  ['2002::', 16],
  ['2001::', 32],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
]);

/** Not of the public internet. */
const inside = list([
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['::1', 128],
  ['fc00::', 7],
  ['2001:db8::', 32],
  ['100::', 64],
]);

const contains = (ranges: BlockList, address: string): boolean =>
  ranges.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** The address of the old kind that an IPv4-mapped one carries; any other as it is. */
export function plainAddress(address: string): string {
  const unzoned = address.replace(/%.*$/, '');
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(unzoned)?.[1];
  if (dotted !== undefined) return dotted;
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(unzoned) ?? [];
  if (high === undefined || low === undefined) return unzoned;
  const [one, two] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [one >> 8, one & 255, two >> 8, two & 255].join('.');
}

/** What the setting lists: names, names of subdomains (`*.contoso.local`), addresses, and ranges (`10.1.0.0/16`). */
export interface AllowedHosts {
  names: readonly string[];
  ranges: BlockList;
  isEmpty: boolean;
}

/** Throws an Error that names the entry that is none. */
export function parseAllowedHosts(text: string): AllowedHosts {
  const names: string[] = [];
  const ranges = new BlockList();
  for (const entry of text.split(',').map((each) => each.trim().toLowerCase())) {
    if (entry === '') continue;
    const [address = '', prefix] = entry.split('/');
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = prefix === undefined ? bits : Number(prefix);
    if (version !== 0 && /^\d{0,3}$/.test(prefix ?? '') && length <= bits)
      ranges.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4');
    else if (/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(entry)) names.push(entry);
    else throw new Error(`LIFEBOAT_ACTION_HOSTS: "${entry}" is no host name, address or range.`);
  }
  return { names, ranges, isEmpty: names.length === 0 && ranges.rules.length === 0 };
}

const isListedName = ({ names }: AllowedHosts, host: string): boolean =>
  names.some((name) => (name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name));

/** The host of the URL as names are compared: without brackets, in lower case, without a dot at its end. */
export const hostOf = ({ hostname }: URL): string =>
  hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');

/** Why this address is not called for a URL of this host; undefined = it is. */
export function refusalOfAddress(
  allowed: AllowedHosts,
  { protocol, host }: { protocol: string; host: string },
  address: string,
): string | undefined {
  const plain = plainAddress(address);
  if (isIP(plain) === 0 || contains(never, plain)) return `${plain} is an address that is never called.`;
  if (isListedName(allowed, host) || contains(allowed.ranges, plain)) return undefined;
  const remedy = 'list it in LIFEBOAT_ACTION_HOSTS to allow it.';
  if (contains(inside, plain)) return `${plain} is not an address of the public internet; ${remedy}`;
  return protocol === 'https:'
    ? undefined
    : `${protocol}// calls public addresses without protection; ${remedy}`;
}

/** Why the URL is not called, as far as its text says; undefined = its addresses decide. */
export function refusalOfUrl(allowed: AllowedHosts, text: string): string | undefined {
  if (!URL.canParse(text)) return 'it is no URL.';
  const url = new URL(text);
  if (!['https:', 'http:', 'tcp:'].includes(url.protocol)) return `${url.protocol} is not called.`;
  if (url.username !== '' || url.password !== '') return 'a URL with a user in it is not called.';
  const host = hostOf(url);
  if (host === '') return 'the URL names no host.';
  if (url.protocol === 'tcp:' && url.port === '') return 'the URL names no port.';
  const about = { protocol: url.protocol, host };
  if (isIP(host) !== 0) return refusalOfAddress(allowed, about, host);
  // What a name stands for is seen when it is called; without a list nothing but https can be right.
  if (url.protocol === 'https:' || !allowed.isEmpty) return undefined;
  return `${url.protocol}// is called for what LIFEBOAT_ACTION_HOSTS lists alone, and it lists nothing.`;
}

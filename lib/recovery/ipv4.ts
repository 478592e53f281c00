// IPv4 addresses and prefixes, as far as choosing an address in a subnet needs them.

const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const address = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`);

/** The address as a number, or undefined when the text is none. */
export function parseIpv4(text: string): number | undefined {
  const match = address.exec(text);
  return match ? match.slice(1).reduce((value, part) => value * 256 + Number(part), 0) : undefined;
}

export interface Ipv4Prefix {
  first: number;
  /** Inclusive. */
  last: number;
}

/** `10.0.1.0/24`, or undefined when the text is no prefix. Bits behind the length are ignored. */
export function parseIpv4Prefix(text: string): Ipv4Prefix | undefined {
  const [addressText = '', lengthText = ''] = text.split('/');
  const value = parseIpv4(addressText);
  if (value === undefined || !/^([12]?\d|3[0-2])$/.test(lengthText)) return undefined;
  const size = 2 ** (32 - Number(lengthText));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

/** Azure keeps the first four addresses of a subnet and the last. */
const reservedAtStart = 4;

/** Why the address cannot be given to a machine in the subnet; undefined when it can. */
export function addressProblem(addressText: string, prefixText: string): string | undefined {
  const value = parseIpv4(addressText);
  const prefix = parseIpv4Prefix(prefixText);
  if (value === undefined) return `"${addressText}" is no IPv4 address`;
  if (prefix === undefined) return undefined;
  if (value < prefix.first || value > prefix.last) return `${addressText} is not inside ${prefixText}`;
  if (value < prefix.first + reservedAtStart || value === prefix.last)
    return `${addressText} is one of the addresses that Azure keeps in ${prefixText}`;
  return undefined;
}

// Values of options: text of the command line to the type that the commands take, or a complaint that names both.
import { InvalidArgumentError } from 'commander';

/** A count of bytes: a plain number, or one with a unit of 1024 (KiB, MiB, GiB, TiB; K, M, G, T for short). */
export function parseSizeBytes(text: string): number {
  const match = /^(\d+)(?:([KMGT])(?:i?B)?)?$/i.exec(text);
  const power = ['', 'K', 'M', 'G', 'T'].indexOf((match?.[2] ?? '').toUpperCase());
  const sizeBytes = Number(match?.[1] ?? Number.NaN) * 1024 ** power;
  if (!Number.isSafeInteger(sizeBytes))
    throw new InvalidArgumentError('Give bytes, or a number with KiB, MiB, GiB or TiB.');
  return sizeBytes;
}

/** As parseSizeBytes, for sizes of disks. */
export function parseDiskSizeBytes(text: string): number {
  const sizeBytes = parseSizeBytes(text);
  if (sizeBytes === 0 || sizeBytes % 512 !== 0)
    throw new InvalidArgumentError('A disk has a multiple of 512 bytes.');
  return sizeBytes;
}

export function parseGuidArgument(text: string): string {
  const guid = text.replace(/^\{(.*)\}$/, '$1').toLowerCase();
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(guid)) {
    throw new InvalidArgumentError('Give a GUID such as 00112233-4455-6677-8899-aabbccddeeff.');
  }
  return guid;
}

export function parseSha256(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new InvalidArgumentError('Give the 64 hex digits of a SHA-256.');
  return text.toLowerCase();
}

export function parseTime(text: string): Date {
  const time = new Date(text);
  const isIso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  // A day that its month does not have would be taken for one of the next month.
  const day = text.slice(0, 10);
  const midnight = new Date(`${day}T00:00:00Z`);
  const isDay = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
  if (!isIso || !isDay || Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError('Give an ISO 8601 time with its zone, e.g. 2026-01-31T12:00:00Z.');
  }
  return time;
}

/** A cycle number: 1 to 999999999999. */
export function parseCycle(text: string): number {
  const cycle = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (cycle === 0) throw new InvalidArgumentError('Give a cycle from 1.');
  return cycle;
}

/** An item or disk id as the service spells it. */
export function parseIdentifier(text: string): string {
  const id = text.toLowerCase();
  if (!/^[a-z0-9-]{1,64}$/.test(id))
    throw new InvalidArgumentError('Use 1 to 64 characters of a-z, 0-9 and "-".');
  return id;
}

// Ids that must come out the same on every attempt: made from what they identify, not from chance.
import { createHash } from 'node:crypto';

/** A lower-case UUID (version 8, "custom") that depends on the parts alone. */
export function stableGuid(...parts: readonly (string | number)[]): string {
  const hex = createHash('sha256').update(parts.join('\0')).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** True for the text of a GUID of any version. */
export const isGuid = (text: string): boolean =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);

// Job ids are GUIDs that sort newest first: the first 48 bits count down with time. So the table's key order is the order in
// which people read jobs, and "older than" is a range of keys.

const largest = 2 ** 48 - 1;

const countdown = (at: Date): string => (largest - at.getTime()).toString(16).padStart(12, '0');

/** A GUID (version 8, "custom") for something that began at `at`; `guid` gives the rest of its bits. */
export function timeOrderedId(at: Date, guid: string): string {
  const time = countdown(at);
  return `${time.slice(0, 8)}-${time.slice(8)}-8${guid.slice(15)}`;
}

/** Ids of what began at or before `at` are this or greater. */
export function firstIdAt(at: Date): string {
  const time = countdown(at);
  return `${time.slice(0, 8)}-${time.slice(8)}-`;
}

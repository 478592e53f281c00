const mib = 1024 * 1024;

/** A disk with something in it, and its changed state: two changed places, one zeroed, the last sector too. */
export function diskPair(sizeBytes = 3 * mib + 1536): { base: Buffer; changed: Buffer } {
  const base = Buffer.alloc(sizeBytes, 0x5a);
  for (let offset = 0; offset < sizeBytes; offset += 512) base.writeUInt32LE(offset / 512, offset);
  const changed = Buffer.from(base);
  changed.write('changed here', 70_000);
  changed.fill(0, mib, 2 * mib);
  changed.fill(0xee, sizeBytes - 512);
  return { base, changed };
}

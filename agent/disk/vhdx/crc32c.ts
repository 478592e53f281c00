// CRC-32C (Castagnoli), the checksum of every VHDX structure. Eight tables, eight bytes a step.

const polynomial = 0x82f63b78;
const tables = makeTables();

function makeTables(): Uint32Array {
  const made = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * polynomial);
    made[byte] = crc;
  }
  for (let index = 256; index < made.length; index++) {
    const previous = made[index - 256] ?? 0;
    made[index] = (previous >>> 8) ^ (made[previous & 0xff] ?? 0);
  }
  return made;
}

const at = (table: number, byte: number): number => tables[table * 256 + (byte & 0xff)] ?? 0;

/** The checksum of the bytes, those at [`fieldAt`, `fieldAt` + 4) counted as zeros: where the checksum itself lies. */
export function crc32cWithField(bytes: Buffer, fieldAt: number): number {
  const head = update(0xffff_ffff, bytes.subarray(0, fieldAt));
  const field = update(head, Buffer.alloc(4));
  return ~update(field, bytes.subarray(fieldAt + 4)) >>> 0;
}

function update(start: number, bytes: Buffer): number {
  let crc = start;
  let index = 0;
  for (; index + 8 <= bytes.length; index += 8) {
    const low = crc ^ bytes.readInt32LE(index);
    const high = bytes.readInt32LE(index + 4);
    crc =
      at(7, low) ^
      at(6, low >>> 8) ^
      at(5, low >>> 16) ^
      at(4, low >>> 24) ^
      at(3, high) ^
      at(2, high >>> 8) ^
      at(1, high >>> 16) ^
      at(0, high >>> 24);
  }
  for (; index < bytes.length; index++) crc = (crc >>> 8) ^ at(0, crc ^ (bytes[index] ?? 0));
  return crc;
}

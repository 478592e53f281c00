// GUIDs as they lie in images. VHD writes the 16 bytes in the order of the text; VHDX writes the first three fields
// little-endian.

/** Text of 16 bytes in the order of the text, lower case. */
export function guidFromBigEndian(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Text of 16 bytes whose first three fields are little-endian, lower case. */
export function guidFromMixedEndian(bytes: Uint8Array): string {
  const ordered = Buffer.from(bytes);
  ordered.subarray(0, 4).reverse();
  ordered.subarray(4, 6).reverse();
  ordered.subarray(6, 8).reverse();
  return guidFromBigEndian(ordered);
}

/** The 16 bytes of a GUID's text, its first three fields little-endian. */
export function guidToMixedEndian(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

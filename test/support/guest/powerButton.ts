// The smallest guest that can be shut down: it waits for the power button, writes its own first sector to another one, and
// switches the machine off. Made of bytes, for the ACPI ports of QEMU's machine `pc`.

/** Where the guest leaves a copy of sector 0 when it goes down. */
export const lastSector = 64;

/** Sector 0 of the disk that it boots from. */
export function powerButtonSector(): Uint8Array {
  const setup = [
    ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c], // cli; segments 0; stack
    ...[0x88, 0xd3], // mov bl, dl: the drive that the firmware booted from
    ...[0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef], // enable the power button
    ...[0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xfa], // wait for it
    ...[0xb8, 0x00, 0x01, 0xef], // acknowledge it
    ...[0xba, 0x02, 0x06, 0x31, 0xc0, 0xef, 0xfb], // disable it again; sti
  ];
  const codeLength = setup.length + 9 + 8;
  const packetAddress = 0x7c00 + codeLength;
  const code = [
    ...setup,
    ...[0x88, 0xda, 0xb4, 0x43, 0xbe, packetAddress & 0xff, packetAddress >> 8, 0xcd, 0x13], // write 0x7c00
    ...[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4], // off
  ];
  const sector = new Uint8Array(512);
  sector.set([...code, 0x10, 0, 1, 0, 0x00, 0x7c, 0, 0, lastSector, 0, 0, 0, 0, 0, 0, 0]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

// The smallest guest: a boot sector that sends the text of sector 1 to the serial port, copies sector 1 to sector 2, and
// stops. Made of bytes alone, boots in a second, and shows what is on the disk that it was booted from.
import { execFileSync } from 'node:child_process';

export const sectorBytes = 512;

/** What the guest does when it is done: `halt` = nothing more; `reset` = restarts the machine. */
export type GuestEnd = 'halt' | 'reset';

/** Sector 0. */
function bootSector(end: GuestEnd): Uint8Array {
  const start = [
    ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xfc], // cli; segments 0; stack; sti; cld
    0x52, // push dx: the drive that the firmware booted from
  ];
  const stop = [...(end === 'reset' ? [0xb0, 0xfe, 0xe6, 0x64] : []), 0xf4, 0xeb, 0xfd]; // [reset]; hlt for ever
  const codeLength = 57 + stop.length;
  const address = (offset: number): number[] => [(0x7c00 + offset) & 0xff, (0x7c00 + offset) >> 8];
  const code = [
    ...start,
    ...[0xb4, 0x42, 0xbe, ...address(codeLength), 0xcd, 0x13], // read sector 1 to 0x7e00
    ...[0xbe, 0x00, 0x7e], // mov si, 0x7e00
    ...[0xac, 0x84, 0xc0, 0x74, 0x12, 0x88, 0xc3], // next: lodsb; a zero ends it
    ...[0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb], // wait until COM1 takes a byte
    ...[0xba, 0xf8, 0x03, 0x88, 0xd8, 0xee, 0xeb, 0xe9], // send it; again
    ...[0x5a, 0xb8, 0x00, 0x43, 0xbe, ...address(codeLength + 16), 0xcd, 0x13], // write 0x7e00 to sector 2
    ...stop,
  ];
  const packet = (sector: number): number[] => [
    ...[0x10, 0, 1, 0, 0x00, 0x7e, 0, 0],
    ...[sector, 0, 0, 0, 0, 0, 0, 0],
  ];
  const sector = new Uint8Array(sectorBytes);
  sector.set([...code, ...packet(1), ...packet(2)]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** Sector 1: what the guest shows. At most 500 characters of ASCII. */
export function markerSector(marker: string): Uint8Array {
  const sector = new Uint8Array(sectorBytes);
  sector.set(new TextEncoder().encode(`${marker}\r\n`));
  return sector;
}

/** The whole disk, ready to boot. */
export function bootableDisk(sizeBytes: number, marker: string, end: GuestEnd = 'halt'): Uint8Array {
  const disk = new Uint8Array(sizeBytes);
  disk.set(bootSector(end));
  disk.set(markerSector(marker), sectorBytes);
  return disk;
}

/** Whether QEMU is here; tests that need it say so when they skip. */
export function hasQemu(): boolean {
  try {
    execFileSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log('skipped: qemu-system-x86_64 is not installed (Debian package qemu-system-x86)');
    return false;
  }
}

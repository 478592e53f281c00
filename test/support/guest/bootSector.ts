// A guest of 512 bytes: a boot sector that prints a marker from the disk on the serial port and, if asked to, writes to
// its disks for ever. It needs no kernel and no file system, boots in a second under emulation, and runs wherever a BIOS
// starts a disk.
//
// Sector 0 holds code and parameters, sector 1 the marker, sector 2 a counter of the writes done. A writer puts 1 to 8
// sectors of one value (every fourth time zeros) at a random place of its range, then the number of that write into sector
// 2 of the first disk, then into sector 2 of the second disk if there is one: at any instant the second counter is equal to
// the first or one behind. After every 16 writes it waits for a tick of the clock and prints a "w".
import { open } from 'node:fs/promises';

const sectorBytes = 512;
/** Where the program reads its parameters. */
const parameterAt = { mode: 0x191, seed: 0x194, first: 0x198, range: 0x19c } as const;
const textAt = 0x13c;

/** 16-bit code at 0x7c00: the bytes, and what they say. The data follow it. */
const listing = `
  fa                          cli
  31 c0                       xor ax, ax
  8e d8                       mov ds, ax
  8e c0                       mov es, ax
  8e d0                       mov ss, ax
  bc 00 7c                    mov sp, 0x7c00
  fb                          sti
  fc                          cld
  88 16 90 7d                 mov byte [drive], dl
  ba f9 03                    mov dx, 0x3f9
  ee                          out dx, al
  b2 fb                       mov dl, 0xfb
  b0 80                       mov al, 0x80
  ee                          out dx, al
  b2 f8                       mov dl, 0xf8
  b0 01                       mov al, 0x1
  ee                          out dx, al
  42                          inc dx
  30 c0                       xor al, al
  ee                          out dx, al
  b2 fb                       mov dl, 0xfb
  b0 03                       mov al, 0x3
  ee                          out dx, al
  b4 42                       mov ah, 0x42
  66 bb 01 00 00 00           mov ebx, 0x1
  b9 01 00                    mov cx, 0x1
  bd 00 80                    mov bp, 0x8000
  8a 16 90 7d                 mov dl, byte [drive]
  e8 b7 00                    call io
  0f 82 9f 00                 jb fail
  be 3c 7d                    mov si, okText
  e8 da 00                    call print
  be 00 80                    mov si, 0x8000
  e8 d4 00                    call print
  be 62 7d                    mov si, lineEnd
  e8 ce 00                    call print
  80 3e 91 7d 00              cmp byte [mode], 0x0
  0f 84 8a 00                 je off
again:
  66 a1 94 7d                 mov eax, [seed]
  66 69 c0 0d 66 19 00        imul eax, eax, 0x19660d
  66 05 5f f3 6e 3c           add eax, 0x3c6ef35f
  66 a3 94 7d                 mov [seed], eax
  f6 c4 03                    test ah, 0x3
  75 03                       jne fill
  66 31 c0                    xor eax, eax
fill:
  bf 00 90                    mov di, 0x9000
  b9 00 04                    mov cx, 0x400
  66 f3 ab                    rep stos dword es:[di], eax
  66 a1 94 7d                 mov eax, [seed]
  66 89 c1                    mov ecx, eax
  66 c1 e8 04                 shr eax, 0x4
  66 31 d2                    xor edx, edx
  66 f7 36 9c 7d              div dword [range]
  66 89 d3                    mov ebx, edx
  66 03 1e 98 7d              add ebx, dword [first]
  66 c1 e9 1d                 shr ecx, 0x1d
  41                          inc cx
  b2 80                       mov dl, 0x80
  e8 48 00                    call write
  72 37                       jb fail
  66 ff 06 a0 7d              inc dword [count]
  66 a1 a0 7d                 mov eax, [count]
  bf 00 90                    mov di, 0x9000
  b9 80 00                    mov cx, 0x80
  66 f3 ab                    rep stos dword es:[di], eax
  66 bb 02 00 00 00           mov ebx, 0x2
  b9 01 00                    mov cx, 0x1
  b2 80                       mov dl, 0x80
  e8 26 00                    call write
  72 15                       jb fail
  b2 81                       mov dl, 0x81
  e8 1f 00                    call write
  f6 06 a0 7d 0f              test byte [count], 0xf
  75 85                       jne again
  f4                          hlt
  b0 77                       mov al, 0x77
  e8 4e 00                    call putc
  e9 7c ff                    jmp again
fail:
  be 4e 7d                    mov si, failedText
  e8 3b 00                    call print
off:
  ba 04 06                    mov dx, 0x604
  b8 00 20                    mov ax, 0x2000
  ef                          out dx, ax
  fa                          cli
  f4                          hlt
write:
  b4 43                       mov ah, 0x43
  bd 00 90                    mov bp, 0x9000
io:
  66 c7 06 00 06 10 00 00 00  mov dword [0x600], 0x10
  89 0e 02 06                 mov word [0x602], cx
  89 2e 04 06                 mov word [0x604], bp
  c7 06 06 06 00 00           mov word [0x606], 0x0
  66 89 1e 08 06              mov dword [0x608], ebx
  66 c7 06 0c 06 00 00 00 00  mov dword [0x60c], 0x0
  be 00 06                    mov si, 0x600
  30 c0                       xor al, al
  cd 13                       int 0x13
  c3                          ret
print:
  ac                          lods al, byte ds:[si]
  84 c0                       test al, al
  74 14                       je done
  e8 02 00                    call putc
  eb f6                       jmp print
putc:
  52                          push dx
  50                          push ax
  ba fd 03                    mov dx, 0x3fd
wait:
  ec                          in al, dx
  a8 20                       test al, 0x20
  74 fb                       je wait
  58                          pop ax
  b2 f8                       mov dl, 0xf8
  ee                          out dx, al
  5a                          pop dx
done:
  c3                          ret
`;

/** How a writer writes: random places in [firstSector, firstSector + sectorCount). */
export interface GuestWriter {
  firstSector: number;
  /** The last write may reach 7 sectors further. */
  sectorCount: number;
  seed: number;
}

export interface BootableDisk {
  sizeBytes: number;
  /** ASCII, one line, at most 511 characters. */
  marker: string;
  /** Without it the guest powers off after it has printed the marker. */
  writer?: GuestWriter;
}

/** What the guest prints: the line that proves that this disk was booted. */
export const bootLine = (marker: string): string => `LIFEBOAT-BOOT-OK ${marker}`;

/** The first three sectors of a bootable disk; all others are free. */
function bootSectors({ marker, writer }: BootableDisk): Buffer {
  if (!/^[\x20-\x7e]{1,511}$/.test(marker))
    throw new RangeError('the marker is one line of at most 511 characters');
  const code = listing
    .split('\n')
    .map((line) => /^ {2}((?:[0-9a-f]{2} )+)/.exec(line)?.[1]?.replaceAll(' ', '') ?? '')
    .join('');
  const sectors = Buffer.alloc(3 * sectorBytes);
  sectors.write(code, 0, 'hex');
  sectors.write('LIFEBOAT-BOOT-OK \0LIFEBOAT-BOOT-FAILED\r\n\0', textAt, 'latin1');
  sectors.writeUInt8(writer ? 1 : 0, parameterAt.mode);
  sectors.writeUInt32LE(writer?.seed ?? 1, parameterAt.seed);
  sectors.writeUInt32LE(writer?.firstSector ?? 0, parameterAt.first);
  sectors.writeUInt32LE(writer?.sectorCount ?? 1, parameterAt.range);
  sectors.writeUInt16BE(0x55aa, sectorBytes - 2);
  sectors.write(marker, sectorBytes, 'latin1');
  return sectors;
}

/** Makes a raw disk that boots; sparse. */
export async function writeBootableDisk(path: string, disk: BootableDisk): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(disk.sizeBytes);
    await file.write(bootSectors(disk), 0, 3 * sectorBytes, 0);
  } finally {
    await file.close();
  }
}

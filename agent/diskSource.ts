// A disk image file as the disk that a guest sees: raw, or a fixed VHD without its footer. Formats whose bytes are not
// the disk's bytes are refused by name, because replicating the container as if it were the disk would ruin the replica.
import { parseVhdFooter, vhdFooterSizeBytes } from '../lib/vhd/fixed.ts';
import { AgentError } from './agentError.ts';
import { openFileSource, type FileSource } from './fileSource.ts';

/** An open disk image; `sizeBytes` is the size of the disk. */
export interface DiskSource extends FileSource {
  readonly format: 'raw' | 'vhd';
}

interface ForeignFormat {
  name: string;
  magic: string;
}

const foreignFormats: readonly ForeignFormat[] = [
  { name: 'a VHDX file', magic: 'vhdxfile' },
  { name: 'a qcow2 file', magic: 'QFI\xfb' },
  { name: 'a VMDK file', magic: 'KDMV' },
  { name: 'a Hyper-V Replica Log', magic: 'msctlog' },
];
const longestMagicBytes = 8;
const vhdCookie = 'conectix';

function unsupported(path: string, what: string): AgentError {
  const action = 'Give a raw image or a fixed VHD, e.g. made with: qemu-img convert -O raw <file> disk.raw';
  return new AgentError('DiskFormatUnsupported', `${path} is ${what}, not the bytes of a disk.`, action);
}

async function detectFormat(file: FileSource): Promise<{ format: 'raw' | 'vhd'; sizeBytes: number }> {
  const { path, sizeBytes } = file;
  const head = Buffer.from(await file.read(0, Math.min(longestMagicBytes, sizeBytes))).toString('latin1');
  const foreign = foreignFormats.find(({ magic }) => head.startsWith(magic));
  if (foreign) throw unsupported(path, foreign.name);
  if (sizeBytes < vhdFooterSizeBytes) return { format: 'raw', sizeBytes };
  const tail = await file.read(sizeBytes - vhdFooterSizeBytes, vhdFooterSizeBytes);
  if (Buffer.from(tail).toString('latin1', 0, vhdCookie.length) !== vhdCookie)
    return { format: 'raw', sizeBytes };
  const footer = parseVhdFooter(tail);
  if (footer.diskType !== 'fixed') throw unsupported(path, `a ${footer.diskType} VHD`);
  const roomBytes = sizeBytes - vhdFooterSizeBytes;
  if (footer.sizeBytes > roomBytes) {
    const message = `${path} is a fixed VHD of ${footer.sizeBytes} bytes, but only ${roomBytes} bytes are before its footer.`;
    throw new AgentError('DiskFormatUnsupported', message, 'The file is damaged; copy it again.');
  }
  return { format: 'vhd', sizeBytes: footer.sizeBytes };
}

/** Opens a raw image or a fixed VHD. Throws AgentError, or VhdError for a broken footer. */
export async function openDiskSource(path: string): Promise<DiskSource> {
  const file = await openFileSource(path);
  try {
    const { format, sizeBytes } = await detectFormat(file);
    const assertWithin = (offsetBytes: number, lengthBytes: number): void => {
      if (offsetBytes + lengthBytes <= sizeBytes) return;
      throw new RangeError(
        `${path}: read [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${sizeBytes} bytes`,
      );
    };
    return {
      path,
      format,
      sizeBytes,
      async read(offsetBytes, lengthBytes) {
        assertWithin(offsetBytes, lengthBytes);
        return file.read(offsetBytes, lengthBytes);
      },
      async readInto(offsetBytes, target) {
        assertWithin(offsetBytes, target.length);
        return file.readInto(offsetBytes, target);
      },
      readNow(offsetBytes, target) {
        assertWithin(offsetBytes, target.length);
        return file.readNow(offsetBytes, target);
      },
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

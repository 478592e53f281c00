// Which format an image has, when nobody says. Content decides, and the name must agree: whoever can write the first
// sector of a raw disk (its guest) could otherwise make it look like a container, and one that names any file of this
// host as its parent.
import path from 'node:path';
import { imageCorrupt, imageUnsupported } from './errors.ts';
import type { ImageFile } from './imageFile.ts';
import type { DiskFormat } from './reader.ts';
import { looksLikeVhd } from './vhd/openVhd.ts';
import { looksLikeVhdx } from './vhdx/openVhdx.ts';

type ImageFormat = Exclude<DiskFormat, 'nbd'>;

const formatsByExtension: Readonly<Record<string, ImageFormat>> = {
  '.vhd': 'vhd',
  '.avhd': 'vhd',
  '.vhdx': 'vhdx',
  '.avhdx': 'vhdx',
  '.qcow2': 'qcow2',
};
const foreignMagics: Readonly<Record<string, string>> = {
  KDMV: 'a VMDK file',
  COWD: 'a VMDK file',
  msctlog: 'a Hyper-V Replica Log',
  '<<< ': 'a VDI file',
  'QED\0': 'a QED file',
};

async function readMagic(file: ImageFile): Promise<string> {
  return (await file.read(0, Math.min(8, file.sizeBytes))).toString('latin1');
}

async function formatOfContent(file: ImageFile, magic: string): Promise<ImageFormat> {
  if (magic.startsWith('QFI\xfb')) return 'qcow2';
  if (await looksLikeVhdx(file)) return 'vhdx';
  return (await looksLikeVhd(file)) ? 'vhd' : 'raw';
}

/**
 * The format of the image. Throws `DiskImageUnsupported` for a container that cannot be read here, or whose name does
 * not say so, and `DiskImageCorrupt` when the name says a container and the content is none.
 */
export async function detectFormat(file: ImageFile): Promise<ImageFormat> {
  const magic = await readMagic(file);
  const foreign = Object.keys(foreignMagics).find((start) => magic.startsWith(start));
  if (foreign) throw imageUnsupported(file.path, `is ${foreignMagics[foreign] ?? foreign}`);
  const named = file.isDevice ? undefined : formatsByExtension[path.extname(file.path).toLowerCase()];
  const found = await formatOfContent(file, magic);
  if (named === undefined && found !== 'raw')
    throw imageUnsupported(
      file.path,
      `its content looks like ${found}, its name does not; a guest may have written it, so the format must be named`,
    );
  if (named !== undefined && found !== named)
    throw imageCorrupt(file.path, `is named as ${named}, but its content looks like ${found}`);
  return found;
}

// Finding the parent of a differencing image: the places that the image names, in order, and the proof that what lies
// there is the very disk that the image was made on.
import path from 'node:path';
import { isLifeboatError } from '../../lib/errors.ts';
import { AgentError } from '../agentError.ts';
import { BrokenChainError } from './errors.ts';
import type { DiskFormat, DiskReader } from './reader.ts';

/** What a differencing image says of its parent. */
export interface ParentClaim {
  /** The child, symbolic links resolved. */
  childPath: string;
  childSizeBytes: number;
  format: DiskFormat;
  /** Paths as they stand in the image, first choice first; relative ones count from the child's folder. */
  locators: readonly string[];
  /** The parent's id must be one of these. */
  parentIds: readonly string[];
}

/** How an image opens its parent. Throws BrokenChainError. */
export type OpenParent = (claim: ParentClaim) => Promise<DiskReader>;

/** Longer chains are refused: Hyper-V makes at most 50 checkpoints. */
const maxChainLength = 64;

/** A path written on Windows as one of this system; undefined when it can mean nothing here. */
function localPath(locator: string, folder: string): string | undefined {
  if (process.platform === 'win32') return path.resolve(folder, locator);
  if (/^\\\\|^[a-z]:/i.test(locator)) return undefined;
  return path.resolve(folder, locator.replaceAll('\\', '/'));
}

/** Where the parent may be: as named, and under its own name beside the child. */
function candidatePaths({ childPath, locators }: ParentClaim): string[] {
  const folder = path.dirname(childPath);
  const named = locators.map((locator) => localPath(locator, folder));
  const beside = locators.map((locator) => path.join(folder, path.win32.basename(locator)));
  return [...new Set([...named, ...beside].filter((candidate) => candidate !== undefined))];
}

function mismatchOf(claim: ParentClaim, parent: DiskReader): BrokenChainError | undefined {
  const [link] = parent.identity.chain;
  const location = link?.location ?? '';
  const id = link?.imageId ?? 'none';
  if (parent.identity.format !== claim.format || !claim.parentIds.includes(id)) {
    const detail = `its parent has id ${claim.parentIds.join(' or ')}, but ${location} has ${id}`;
    return new BrokenChainError(claim.childPath, 'id mismatch', detail);
  }
  if (parent.sizeBytes !== claim.childSizeBytes) {
    const detail = `it has ${claim.childSizeBytes} bytes, its parent ${location} has ${parent.sizeBytes}`;
    return new BrokenChainError(claim.childPath, 'size mismatch', detail);
  }
  return undefined;
}

/**
 * Opens the parents of images. `openImage` opens one image with the function for its own parents; `chain` holds the
 * real paths from the first image down to the one whose parent is opened next.
 */
export function parentOpener(
  openImage: (imagePath: string, format: DiskFormat, openParent: OpenParent) => Promise<DiskReader>,
  chain: readonly string[] = [],
): OpenParent {
  const openCandidate = async (claim: ParentClaim, candidate: string): Promise<DiskReader | undefined> => {
    const next = [...chain, claim.childPath];
    try {
      return await openImage(candidate, claim.format, parentOpener(openImage, next));
    } catch (error) {
      if (error instanceof AgentError && error.code === 'FileNotFound') return undefined;
      if (isLifeboatError(error, 'DiskImageCorrupt', 'DiskImageUnsupported'))
        throw new BrokenChainError(claim.childPath, 'corruption', error.message, { cause: error });
      throw error;
    }
  };
  return async (claim) => {
    if (chain.includes(claim.childPath))
      throw new BrokenChainError(claim.childPath, 'cycle', 'it is a parent of itself');
    if (chain.length + 1 >= maxChainLength)
      throw new BrokenChainError(
        claim.childPath,
        'too deep',
        `more than ${maxChainLength} images in the chain`,
      );
    let firstMismatch: BrokenChainError | undefined;
    const candidates = candidatePaths(claim);
    for (const candidate of candidates) {
      const parent = await openCandidate(claim, candidate);
      if (!parent) continue;
      const mismatch = mismatchOf(claim, parent);
      if (!mismatch) return parent;
      await parent.close();
      firstMismatch ??= mismatch;
    }
    if (firstMismatch) throw firstMismatch;
    const places = candidates.length > 0 ? candidates.join(', ') : 'no place';
    throw new BrokenChainError(
      claim.childPath,
      'parent missing',
      `the image names ${claim.locators.map((locator) => JSON.stringify(locator)).join(', ') || 'no parent'}; looked at ${places}`,
    );
  };
}

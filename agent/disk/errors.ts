// Errors of disk images, in words that name the file, what is wrong with it, and where.
import { LifeboatError } from '../../lib/errors.ts';

/** Why a chain cannot be read. */
export type ChainFault =
  'parent missing' | 'id mismatch' | 'size mismatch' | 'cycle' | 'too deep' | 'corruption';

/** A differencing disk whose parents do not make up a disk. */
export class BrokenChainError extends LifeboatError {
  readonly fault: ChainFault;

  constructor(path: string, fault: ChainFault, detail: string, options: { cause?: unknown } = {}) {
    super('BrokenVhdChain', `${path}: broken chain, ${fault}: ${detail}`, { ...options, target: path });
    this.name = 'BrokenChainError';
    this.fault = fault;
  }
}

/** An image whose structures contradict each other or its file. `what` is a clause without a full stop. */
export function imageCorrupt(path: string, what: string): LifeboatError {
  return new LifeboatError('DiskImageCorrupt', `${path}: ${what}.`, { target: path });
}

/** An image that may be good, but that this program must not interpret. */
export function imageUnsupported(path: string, what: string): LifeboatError {
  return new LifeboatError('DiskImageUnsupported', `${path}: ${what}.`, { target: path });
}

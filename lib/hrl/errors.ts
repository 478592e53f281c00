// What is wrong with a log, and exactly where: every refusal of the reader names the byte, the field, what was
// expected and what was found, so that a writer's author can fix the writer with a hex dump and nothing else.
import { LifeboatError, type ErrorCode } from '../errors.ts';

/** Where a log is wrong. */
export interface HrlFault {
  /** What the offset lies in: `log header`, `metadata block`, `entry`, `data`. */
  structure: string;
  /** Offset of the field in the file. */
  offsetBytes: number;
  /** Name of the field in [MS-HRL]. */
  field: string;
  expected: string | number;
  found: string | number;
}

/** A log that cannot be used as it is. `code` says which kind of refusal, the fields say where. */
export class HrlError extends LifeboatError {
  readonly offsetBytes: number;
  readonly field: string;
  readonly expected: string | number;
  readonly found: string | number;
  readonly #structure: string;

  constructor(code: ErrorCode, fault: HrlFault) {
    const { structure, offsetBytes, field, expected, found } = fault;
    super(code, `${structure} at ${offsetBytes}: field ${field}: expected ${expected}, found ${found}`);
    this.name = 'HrlError';
    this.offsetBytes = offsetBytes;
    this.field = field;
    this.expected = expected;
    this.found = found;
    this.#structure = structure;
  }

  /** The same error with the name of the file that it is about, for those who read several. */
  inFile(name: string): HrlError {
    const { code, offsetBytes, field, expected, found } = this;
    return new HrlError(code, {
      structure: `${name}: ${this.#structure}`,
      offsetBytes,
      field,
      expected,
      found,
    });
  }
}

/** A checksum as the errors print it. */
export function formatChecksum(checksum: number): string {
  return `0x${checksum.toString(16).padStart(8, '0')}`;
}

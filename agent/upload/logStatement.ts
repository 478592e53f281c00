// What travels with a log as blob metadata, as the public contract names it.
import { traceparentKey } from '../../lib/telemetry/traceparent.ts';

export interface LogStatement {
  /** Of the file, hex. */
  sha256: string;
  /** When the source was frozen. */
  takenAt?: Date | undefined;
  consistency?: 'crash' | 'application' | undefined;
  /** What the log holds: the changes of a cycle (default), or what differs after a resynchronization. */
  kind?: 'delta' | 'resync' | undefined;
  /** W3C Trace Context of the cycle, the same for all its logs. */
  traceparent?: string | undefined;
  /** The moment of a consistency group that the log shows. */
  moment?: string | undefined;
  /** What the assignment demands besides, such as the generation of a resynchronization. */
  demanded?: Readonly<Record<string, string>> | undefined;
}

/** Blob metadata of a log. What the assignment demands counts. */
export function logMetadata(statement: LogStatement): Record<string, string> {
  const { sha256, takenAt, consistency, kind = 'delta', traceparent, moment, demanded = {} } = statement;
  return {
    sha256,
    ...(takenAt === undefined ? {} : { takenat: takenAt.toISOString() }),
    ...(consistency === undefined ? {} : { consistency }),
    kind,
    ...(traceparent === undefined ? {} : { [traceparentKey]: traceparent }),
    ...(moment === undefined ? {} : { moment }),
    ...demanded,
  };
}

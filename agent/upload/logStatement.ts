// What travels with a log as blob metadata, as the public contract names it.
import { createHash } from 'node:crypto';
import { formatTraceparent, traceparentKey } from '../../lib/telemetry/traceparent.ts';

export interface LogStatement {
  /** Of the file, hex. */
  sha256: string;
  /** When the source was frozen. */
  takenAt?: Date | undefined;
  consistency?: 'crash' | 'application' | undefined;
  /** What the log holds: the changes of a cycle (default), or what differs after a resynchronization. */
  kind?: 'delta' | 'resync' | undefined;
  /** What the assignment demands besides, such as the generation of a resynchronization. */
  demanded?: Readonly<Record<string, string>> | undefined;
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** One trace a cycle, whose logs are of one moment; made from what they are, so that a log that is sent again stays in it. */
function traceparentOf({ sha256, takenAt }: LogStatement): string {
  const traceId = sha256Of(`cycle ${takenAt?.toISOString() ?? sha256}`).slice(0, 32);
  return formatTraceparent({ traceId, spanId: sha256Of(`log ${sha256}`).slice(0, 16), isSampled: true });
}

/** Blob metadata of a log. What the assignment demands counts. */
export function logMetadata(statement: LogStatement): Record<string, string> {
  const { sha256, takenAt, consistency, kind = 'delta', demanded = {} } = statement;
  return {
    sha256,
    ...(takenAt === undefined ? {} : { takenat: takenAt.toISOString() }),
    ...(consistency === undefined ? {} : { consistency }),
    kind,
    [traceparentKey]: traceparentOf(statement),
    ...demanded,
  };
}

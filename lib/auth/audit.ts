// Who changed what: a row in the table `access` for every changing call, whatever came of it. A partition a day, newest first
// within it. Rows carry no bodies and no credentials.
import * as z from 'zod';
import type { TablePort } from '../storage/ports.ts';

const largest = 2 ** 48 - 1;

export const auditRecord = z.object({
  at: z.iso.datetime(),
  /** Kind, id and name of the caller; `anonymous` before enrolment and for refused credentials. */
  callerKind: z.string(),
  callerId: z.string().nullable(),
  callerName: z.string().nullable(),
  role: z.string().nullable(),
  /** Address that the request came from, as the platform reports it. */
  address: z.string(),
  method: z.string(),
  path: z.string(),
  operation: z.string().nullable(),
  status: z.number(),
  /** Code of the error; null when the call was accepted. */
  error: z.string().nullable(),
  requestId: z.string(),
  clientRequestId: z.string().nullable(),
  /** True when the answer of an earlier, identical request was sent again. */
  isRepetition: z.boolean(),
});
export type AuditRecord = z.infer<typeof auditRecord>;

export const auditPartition = (day: string): string => `audit:${day}`;

/** Stores one row; `requestId` makes its key unique. */
export async function insertAudit(access: TablePort, record: AuditRecord): Promise<void> {
  const countdown = (largest - Date.parse(record.at)).toString(16).padStart(12, '0');
  const key = `${countdown}-${record.requestId}`;
  await access.transact(auditPartition(record.at.slice(0, 10)), [{ kind: 'insert', key, value: record }]);
}

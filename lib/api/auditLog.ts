// The audit, for Owners: who changed what, newest first, a day at a time.
import { auditPartition, auditRecord } from '../auth/audit.ts';
import type { AuditRecord } from '../auth/audit.ts';
import { LifeboatError } from '../errors.ts';
import { compileFilter } from './filter/filter.ts';
import type { Fields } from './filter/filter.ts';
import { operation } from './operation.ts';
import { page } from './paging.ts';
import { findQuery } from './query.ts';

const auditModel = auditRecord.meta({ id: 'AuditRecord' });

const fields: Fields<AuditRecord> = {
  callerId: { kind: 'text', of: ({ callerId }) => callerId },
  callerName: { kind: 'text', of: ({ callerName }) => callerName },
  operation: { kind: 'text', of: (record) => record.operation },
  method: { kind: 'text', of: ({ method }) => method },
  path: { kind: 'text', of: ({ path }) => path },
  address: { kind: 'text', of: ({ address }) => address },
  status: { kind: 'text', of: ({ status }) => status },
  at: { kind: 'time', of: ({ at }) => at },
};

export const auditOperations = [
  operation({
    ...{ id: 'Audit_List', verb: 'GET', path: '/lifeboat/v1/audit', scope: 'service', access: 'Owner' },
    ...{ answers: 'page', answer: auditModel },
    query: { day: 'YYYY-MM-DD (UTC); today when absent', $filter: Object.keys(fields).join(', ') },
    summary: 'Lists the changing calls of one day, newest first.',
    handler: async (context, request) => {
      const today = context.replication.clock.now().toISOString().slice(0, 10);
      const day = findQuery(request.query, 'day') ?? today;
      if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) {
        const message = `day must be YYYY-MM-DD, not "${day.slice(0, 40)}".`;
        throw new LifeboatError('InvalidRequest', message, { target: 'day' });
      }
      const filter = compileFilter(findQuery(request.query, '$filter'), fields);
      return page<AuditRecord>(context, request, {
        rows: async function* (after) {
          const range = after === undefined ? {} : { from: `${after}~` };
          for await (const { key, value } of context.access.list(auditPartition(day), range))
            yield { key, value: auditRecord.parse(value) };
        },
        ...(filter ? { matches: filter.matches } : {}),
        body: (record) => record,
      });
    },
  }),
];

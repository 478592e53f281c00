// What a policy says beyond Site Recovery's fields: longer retention in tiers, RPO threshold, resync window, parallel disks,
// verification, consistency group.
import { LifeboatError } from '../errors.ts';
import { changeStored, getStored } from '../vault/collection.ts';
import { policyRecord } from '../vault/policies.ts';
import type { PolicyRecord } from '../vault/policies.ts';
import { policies } from '../vault/resources.ts';
import type { ApiContext } from './http.ts';
import { operation } from './operation.ts';

const path = '/lifeboat/v1/policies/{policy}';

const fields = policyRecord.pick({
  hourlyHours: true,
  dailyDays: true,
  rpoThresholdSeconds: true,
  resyncWindow: true,
  parallelDisks: true,
  verify: true,
  scrubEveryDays: true,
  monitoringSeconds: true,
  consistencyGroup: true,
});

const model = fields.meta({ id: 'PolicyExtras' });
/** What is not given keeps its value; so no field may fill itself in. */
const input = fields
  .extend({
    hourlyHours: fields.shape.hourlyHours.unwrap(),
    dailyDays: fields.shape.dailyDays.unwrap(),
    rpoThresholdSeconds: fields.shape.rpoThresholdSeconds.unwrap(),
    resyncWindow: fields.shape.resyncWindow.unwrap(),
    parallelDisks: fields.shape.parallelDisks.unwrap(),
    verify: fields.shape.verify.unwrap(),
    scrubEveryDays: fields.shape.scrubEveryDays.unwrap(),
    monitoringSeconds: fields.shape.monitoringSeconds.unwrap(),
    consistencyGroup: fields.shape.consistencyGroup.unwrap(),
  })
  .partial()
  .meta({ id: 'PolicyExtrasInput' });

const extrasOf = (policy: PolicyRecord) => ({ name: policy.name, ...fields.parse(policy) });
const vaultOf = (context: ApiContext) => context.replication.storage.vault;

export const policyExtraOperations = [
  operation({
    ...{ id: 'PolicyExtras_Get', verb: 'GET', path, scope: 'service', access: 'Reader' },
    ...{
      answers: 'resource',
      answer: model,
      summary: "Shows what a policy says beyond Site Recovery's fields.",
    },
    handler: async (context, { params }) => {
      const { record, etag } = await getStored(vaultOf(context), policies, params['policy'] ?? '');
      return { status: 200, headers: { etag }, body: extrasOf(record) };
    },
  }),
  operation({
    ...{ id: 'PolicyExtras_Update', verb: 'PATCH', path, scope: 'service', access: 'Owner', body: input },
    ...{ answers: 'resource', answer: model },
    summary: 'Changes what the body gives. A shorter retention deletes recovery points: hence Owner.',
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), policies, request.params['policy'] ?? '');
      const given = Object.fromEntries(
        Object.entries(request.body).filter(([, value]) => value !== undefined),
      );
      const where = { key: record.name, ifMatch: request.ifMatch };
      const stored = await changeStored(
        vaultOf(context),
        policies,
        where,
        (known) => known && policyRecord.parse({ ...known, ...given }),
      );
      if (!stored)
        throw new LifeboatError('ResourceNotFound', `Policy "${record.name}" does not exist any more.`);
      return { status: 200, body: extrasOf(stored) };
    },
  }),
];

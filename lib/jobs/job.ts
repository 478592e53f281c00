// Jobs: what the product is doing for somebody, step by step. A job's id is also its ARM operation id and its
// orchestration's instance id.
import * as z from 'zod';
import { errorCatalogue } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

const errorRecord = z.object({
  code: z.custom<ErrorCode>((code) => typeof code === 'string' && code in errorCatalogue),
  message: z.string(),
});

/** Site Recovery's words. */
const stepState = z.enum(['NotStarted', 'InProgress', 'Succeeded', 'Failed']);

const jobStep = z.object({
  taskId: z.string(),
  name: z.string(),
  friendlyName: z.string(),
  state: stepState,
  startTime: z.iso.datetime().nullable(),
  endTime: z.iso.datetime().nullable(),
  errors: z.array(errorRecord),
});
export type JobStep = z.infer<typeof jobStep>;

export const jobRecord = z.object({
  id: z.string(),
  scenario: z.string(),
  friendlyName: z.string(),
  state: stepState,
  steps: z.array(jobStep),
  errors: z.array(errorRecord),
  createdAt: z.iso.datetime(),
  startTime: z.iso.datetime().nullable(),
  endTime: z.iso.datetime().nullable(),
  /** ARM id and name of what the job works on. */
  targetId: z.string(),
  targetName: z.string(),
  targetType: z.string(),
  /**
   * State of the ARM operation that started the job. It can succeed before the job ends: an "enable protection" request is
   * fulfilled when replication has started, while its job goes on until the machine is protected.
   */
  operation: z.enum(['InProgress', 'Succeeded', 'Failed']),
});
export type JobRecord = z.infer<typeof jobRecord>;

/** A kind of job: names as Site Recovery's clients know them. */
export interface JobKind {
  scenario: string;
  friendlyName: string;
  targetType: string;
  steps: readonly { taskId: string; name: string; friendlyName: string }[];
}

const step = (taskId: string, name: string, friendlyName: string) => ({ taskId, name, friendlyName });

export const jobKinds = {
  enableProtection: {
    scenario: 'EnableDr',
    friendlyName: 'Enable replication',
    targetType: 'ProtectionEntity',
    steps: [
      step(
        'EnableProtectionPreflightChecksTask',
        'EnableProtectionPrerequisitesCheck',
        'Prerequisites check for enabling protection',
      ),
      step('CreateProtectionTargetTask', 'CreateProtectionTarget', 'Creating the replication target'),
      step('EnableProtectionTask', 'EnableProtection', 'Enabling replication'),
      step('StartInitialReplicationTask', 'VmStartInitialReplication', 'Initial replication'),
      step('MergeQueuedLogsTask', 'MergeQueuedLogs', 'Merging the changes logged meanwhile'),
      step('FinalizeProtectionTask', 'FinalizeProtection', 'Finalizing protection'),
    ],
  },
  createSite: {
    scenario: 'CreateSite',
    friendlyName: 'Create a site',
    targetType: 'Server',
    steps: [step('CreateSiteTask', 'CreateSite', 'Creating the site')],
  },
  createPolicy: {
    scenario: 'AddProtectionProfile',
    friendlyName: 'Create replication policy',
    targetType: 'ProtectionProfile',
    steps: [step('AddProtectionProfileTask', 'AddProtectionProfile', 'Creating the replication policy')],
  },
  associatePolicy: {
    scenario: 'AssociateProtectionProfile',
    friendlyName: 'Associate replication policy',
    targetType: 'ProtectionProfile',
    steps: [step('PairCloudTask', 'AssociateProtectionProfile', 'Associating the replication policy')],
  },
} as const satisfies Record<string, JobKind>;

export interface NewJob {
  id: string;
  kind: JobKind;
  targetId: string;
  targetName: string;
  createdAt: string;
}

/** A job that has not started. */
export function newJob({ id, kind, targetId, targetName, createdAt }: NewJob): JobRecord {
  return {
    id,
    scenario: kind.scenario,
    friendlyName: kind.friendlyName,
    state: 'NotStarted',
    steps: kind.steps.map((each) => ({
      ...each,
      state: 'NotStarted',
      startTime: null,
      endTime: null,
      errors: [],
    })),
    errors: [],
    createdAt,
    startTime: null,
    endTime: null,
    targetId,
    targetName,
    targetType: kind.targetType,
    operation: 'InProgress',
  };
}

/** The job as it looks when all of it was done at once: what synchronous requests record. */
export function completedJob(job: JobRecord, at: string): JobRecord {
  const done = { state: 'Succeeded', startTime: at, endTime: at } as const;
  return { ...job, ...done, steps: job.steps.map((each) => ({ ...each, ...done })), operation: 'Succeeded' };
}

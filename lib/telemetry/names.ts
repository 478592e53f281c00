// The names of everything that is measured, traced and logged: contracts with dashboards, alerts (infra/) and scrapers.
// docs/observability.md lists the same rows.

type MetricKind = 'counter' | 'gauge' | 'histogram';

interface MetricDefinition {
  kind: MetricKind;
  /** UCUM, as OpenTelemetry has it: s, By, By/s, 1. */
  unit: string;
  description: string;
  /** Names of the attributes that every value carries: ids and codes, never texts or secrets. */
  attributes: readonly string[];
  /** Upper bounds of a histogram's buckets, ascending. */
  buckets?: readonly number[];
}

const secondsBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];
const rateBuckets = [1, 4, 8, 16, 24, 32, 48, 60, 120, 480].map((mebibytes) => mebibytes * 2 ** 20);

export const metricCatalogue = {
  'lifeboat.rpo': {
    kind: 'gauge',
    unit: 's',
    description: 'Age of the newest recovery point of an item.',
    attributes: ['item'],
  },
  'lifeboat.rpo.ratio': {
    kind: 'gauge',
    unit: '1',
    description: 'The same as a part of the threshold of its policy; above 1 the objective is missed.',
    attributes: ['item'],
  },
  'lifeboat.cycle.latency': {
    kind: 'histogram',
    unit: 's',
    description: 'From the moment that the source was frozen (or the upload) to the recovery point.',
    attributes: [],
    buckets: secondsBuckets,
  },
  'lifeboat.cycle.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Checking, merging and recording one cycle.',
    attributes: [],
    buckets: secondsBuckets,
  },
  'lifeboat.merge.bytes': {
    kind: 'counter',
    unit: 'By',
    description: 'Data of merged logs.',
    attributes: [],
  },
  'lifeboat.merge.rate': {
    kind: 'histogram',
    unit: 'By/s',
    description: 'Data of one log by the time that its merge took.',
    attributes: [],
    buckets: rateBuckets,
  },
  'lifeboat.log.refused': {
    kind: 'counter',
    unit: '1',
    description: 'Logs that were quarantined.',
    attributes: ['code'],
  },
  'lifeboat.retry': {
    kind: 'counter',
    unit: '1',
    description: 'Work that failed and will be tried again.',
    attributes: ['code'],
  },
  'lifeboat.queue.age': {
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest uploaded log of an item that is not merged.',
    attributes: ['item'],
  },
  'lifeboat.queue.bytes': {
    kind: 'gauge',
    unit: 'By',
    description: 'Uploaded logs of an item that are not merged.',
    attributes: ['item'],
  },
  'lifeboat.resync.progress': {
    kind: 'gauge',
    unit: '1',
    description: 'Part of a resynchronization that is done, 0 to 1.',
    attributes: ['item'],
  },
  'lifeboat.job.ended': {
    kind: 'counter',
    unit: '1',
    description: 'Jobs that ended.',
    attributes: ['scenario', 'state'],
  },
  'lifeboat.host.heartbeat.age': {
    kind: 'gauge',
    unit: 's',
    description: 'Since a source host was last heard of.',
    attributes: ['host'],
  },
  'lifeboat.reconcile.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'One look for work whose trigger was lost. No values: the service does not run.',
    attributes: [],
    buckets: secondsBuckets,
  },
  'lifeboat.telemetry.dropped': {
    kind: 'counter',
    unit: '1',
    description: 'Values that were not kept because this process has too many series.',
    attributes: [],
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricCatalogue;
export type MetricAttributes<M extends MetricName> = Readonly<
  Record<(typeof metricCatalogue)[M]['attributes'][number], string>
>;

export const metricDefinition = (name: MetricName): MetricDefinition => metricCatalogue[name];

/** What is traced. The trace of a delta begins with whoever uploaded it and ends with `lifeboat.cycle.record`: its recovery point. */
export const spanNames = [
  'lifeboat.delta.received',
  'lifeboat.item.drain',
  'lifeboat.cycle.apply',
  'lifeboat.log.check',
  'lifeboat.log.merge',
  'lifeboat.cycle.snapshot',
  'lifeboat.cycle.record',
  'lifeboat.activity',
] as const;
export type SpanName = (typeof spanNames)[number];

/** Ids by which spans and log lines are found. */
export interface TelemetryIds {
  item?: string;
  cycle?: number;
  disk?: string;
  job?: string;
}

/** What happened, as lines of the log. The level decides how loud. */
export const eventLevels = {
  'cycle.applied': 'info',
  'log.refused': 'warning',
  'work.retried': 'warning',
  'job.ended': 'info',
  'drain.failed': 'error',
} as const;
export type EventName = keyof typeof eventLevels;

// What a month of protection costs: a formula with nothing hidden. Every line is a quantity by a unit price, and every factor is an
// input or a constant here. docs/cost.md explains it; the constants come from counting requests (`npm run soak -- scale`).
import { LifeboatError } from '../errors.ts';
import { pricesWith } from './prices.ts';
import type { Prices } from './prices.ts';

/** The machines to be protected: all alike. */
export interface CostInput {
  machines: number;
  /** Sizes of the disks of one machine. */
  diskGiB: readonly number[];
  /** Part of a disk that was ever written, 0 to 1: page blobs are paid by what is in them. */
  usedShare: number;
  /** Distinct changed data of one machine in a day. */
  churnGiBPerDay: number;
  /** Time between two cycles. */
  intervalSeconds: number;
  /** How long recovery points are kept. */
  retentionHours: number;
  /** Data that one write request carries on average, after neighbours were joined; at most 4 MiB. */
  writeKiB: number;
  /** Memory of an instance of the app. */
  memoryGiB: number;
  /** Days that deleted blobs are kept. */
  softDeleteDays: number;
  /** Source hosts, which ask the service what to do. */
  hosts: number;
  /** Seconds between two looks of a host (`pollSeconds` of its agent). */
  pollSeconds: number;
  /** With a virtual network and private endpoints. */
  isPrivate: boolean;
}

/** A machine as a starting point. */
export const defaultInput: CostInput = {
  machines: 1,
  diskGiB: [127],
  usedShare: 0.6,
  churnGiBPerDay: 5,
  intervalSeconds: 300,
  retentionHours: 24,
  writeKiB: 256,
  memoryGiB: 2,
  softDeleteDays: 7,
  hosts: 1,
  pollSeconds: 15,
  isPrivate: false,
};

export interface CostLine {
  what: string;
  quantity: number;
  unit: string;
  /** In the currency of the prices. */
  monthly: number;
}

export interface CostEstimate {
  lines: CostLine[];
  monthly: number;
  monthlyPerMachine: number;
}

const daysPerMonth = 30.4;
const secondsPerMonth = daysPerMonth * 86_400;
const hoursPerMonth = daysPerMonth * 24;
/** A page blob takes 60 MiB/s: a cycle cannot be merged faster. */
const mergeMiBPerSecond = 60;
/** Start, checks, lock, rows and snapshots of a cycle, on top of its data. */
const cycleSeconds = 1.5;
/** Requests of a cycle, apart from those that carry data: counted. Listings are paid as writes, and the log's folder is listed three times. */
const perCycle = { tables: 15, writes: 6, reads: 5 };
/** And for each of its disks. */
const perCycleAndDisk = { tables: 0, writes: 4, reads: 6 };
/** A log is read in pieces of this size, twice: to check it, and to merge it. */
const readMiB = 8;
/**
 * What the timers do in a minute in which nothing is due: two run, one more every five minutes and three every hour. Each timer has
 * instances of its own on Flex Consumption, and is paid for a second at least. The host reads and writes
 * the times of each run in its own account.
 */
export const idleMinute = {
  executions: 2 + 1 / 5 + 3 / 60,
  seconds: 1,
  tableRequests: 8,
  blobLists: 1,
};
const minutesPerMonth = secondsPerMonth / 60;
/**
 * A host looks at its assignments for its machines and once more for new ones, reports once a minute, and looks more often while
 * the service applies a cycle. An instance answers many at once, so looks keep one busy at most.
 */
const looks = { perPoll: 2, perMinute: 1, perCycle: 7 };
/** Requests of one look: counted. */
export const perLook = { tables: 5, blobLists: 1 };
export const perLookAndMachine = { tables: 2 };
/** Text that a cycle leaves in the logs. */
const logKiBPerCycle = 4;
const alerts = { log: 5, metric: 1 };
const privateEndpoints = 7;

function requireNumber(name: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max))
    throw new LifeboatError('InvalidRequest', `${name} is ${value}; it must be from ${min} to ${max}.`, {
      target: name,
    });
}

function requireInput(input: CostInput): void {
  requireNumber('machines', input.machines, 1, 1_000_000);
  requireNumber('number of disks', input.diskGiB.length, 1, 64);
  for (const size of input.diskGiB) requireNumber('disk size in GiB', size, 2 ** -10, 8192);
  requireNumber('used share', input.usedShare, 0, 1);
  requireNumber('churn in GiB a day', input.churnGiBPerDay, 0, 1_000_000);
  requireNumber('interval in seconds', input.intervalSeconds, 1, 86_400);
  requireNumber('retention in hours', input.retentionHours, 0, 8760);
  requireNumber('write size in KiB', input.writeKiB, 0.5, 4096);
  requireNumber('memory in GiB', input.memoryGiB, 0.5, 16);
  requireNumber('soft delete in days', input.softDeleteDays, 0, 365);
  requireNumber('number of hosts', input.hosts, 0, input.machines);
  requireNumber('poll in seconds', input.pollSeconds, 0.1, 600);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function estimateOf(machines: number, lines: CostLine[]): CostEstimate {
  const monthly = sum(lines.map((line) => line.monthly));
  return { lines, monthly, monthlyPerMachine: monthly / machines };
}

interface Volumes {
  replicaGiB: number;
  /** What recovery points hold beside the newest state: at most every page that changed while they are kept. */
  historyGiB: number;
  churnGiBPerMonth: number;
  cycles: number;
  disks: number;
  /** Requests by which hosts ask what to do. */
  looks: number;
}

function volumesOf(input: CostInput): Volumes {
  const { machines, diskGiB, usedShare, churnGiBPerDay, retentionHours } = input;
  const replicaGiB = machines * sum(diskGiB) * usedShare;
  const churnGiBPerMonth = machines * churnGiBPerDay * daysPerMonth;
  const cycles = (machines * secondsPerMonth) / input.intervalSeconds;
  const looksPerSecond = looks.perPoll / input.pollSeconds + looks.perMinute / 60;
  return {
    replicaGiB,
    historyGiB: machines * churnGiBPerDay * (retentionHours / 24),
    churnGiBPerMonth,
    cycles,
    disks: diskGiB.length,
    looks: input.hosts * secondsPerMonth * looksPerSecond + cycles * looks.perCycle,
  };
}

function storageLines(input: CostInput, volumes: Volumes, prices: Prices): CostLine[] {
  const { replicaGiB, historyGiB, churnGiBPerMonth } = volumes;
  const keptGiB = input.machines * input.churnGiBPerDay * input.softDeleteDays;
  // Deleted logs and deleted snapshots are both kept, and both hold the churn.
  const gib = (what: string, quantity: number, unitPrice: number): CostLine => ({
    ...{ what, quantity, unit: 'GiB' },
    monthly: quantity * unitPrice,
  });
  return [
    gib('replicas', replicaGiB, prices.pageBlobGiBMonth),
    gib('recovery points', historyGiB, prices.pageBlobGiBMonth),
    gib('deleted recovery points, until they are gone', keptGiB, prices.pageBlobGiBMonth),
    gib('deleted logs, until they are gone', keptGiB, prices.blockBlobGiBMonth),
    ...(input.isPrivate ? [gib('private data', 2 * churnGiBPerMonth, prices.privateGiB)] : []),
  ];
}

function requestLines(
  input: CostInput,
  { churnGiBPerMonth, cycles, disks, looks: lookCount }: Volumes,
  prices: Prices,
): CostLine[] {
  const pageWrites = (churnGiBPerMonth * 2 ** 20) / input.writeKiB;
  const idleWrites = minutesPerMonth * (idleMinute.blobLists + idleMinute.executions);
  const writes =
    pageWrites +
    cycles * (perCycle.writes + disks * perCycleAndDisk.writes) +
    idleWrites +
    lookCount * perLook.blobLists;
  const dataReads = (2 * churnGiBPerMonth * 1024) / readMiB;
  const idleReads = minutesPerMonth * idleMinute.executions;
  const reads = dataReads + cycles * (perCycle.reads + disks * perCycleAndDisk.reads) + idleReads;
  const machinesPerHost = input.hosts === 0 ? 0 : input.machines / input.hosts;
  const lookTables = lookCount * (perLook.tables + machinesPerHost * perLookAndMachine.tables);
  const idleTables = minutesPerMonth * idleMinute.tableRequests + lookTables;
  const tables = cycles * (perCycle.tables + disks * perCycleAndDisk.tables) + idleTables;
  const requests = (what: string, quantity: number, price10k: number): CostLine => ({
    ...{ what, quantity, unit: 'requests' },
    monthly: (quantity / 10_000) * price10k,
  });
  return [
    requests('blob writes', writes, prices.writes10k),
    requests('blob reads', reads, prices.reads10k),
    requests('table requests', tables, prices.tableRequests10k),
  ];
}

function computeLines(
  input: CostInput,
  { churnGiBPerMonth, cycles, disks, looks: lookCount }: Volumes,
  prices: Prices,
): CostLine[] {
  const mergeSeconds = (churnGiBPerMonth * 1024) / mergeMiBPerSecond;
  const timerExecutions = minutesPerMonth * idleMinute.executions;
  const lookSeconds = Math.min(secondsPerMonth, lookCount);
  const seconds = cycles * cycleSeconds + mergeSeconds + timerExecutions * idleMinute.seconds + lookSeconds;
  const gibSeconds = Math.max(0, seconds * input.memoryGiB - prices.freeGiBSeconds);
  const events = cycles * disks;
  const executions = Math.max(0, events + timerExecutions + lookCount - prices.freeExecutions);
  const chargedEvents = Math.max(0, events - prices.freeEvents);
  return [
    {
      ...{ what: 'compute, above the free grant', quantity: gibSeconds, unit: 'GiB seconds' },
      monthly: gibSeconds * prices.computeGiBSecond,
    },
    {
      ...{ what: 'executions, above the free grant', quantity: executions, unit: 'executions' },
      monthly: (executions / 1e6) * prices.executionsMillion,
    },
    {
      ...{ what: 'events, above the free grant', quantity: chargedEvents, unit: 'events' },
      monthly: (chargedEvents / 1e6) * prices.eventsMillion,
    },
  ];
}

function fixedLines(input: CostInput, { cycles }: Volumes, prices: Prices): CostLine[] {
  const logGiB = Math.max(0, (cycles * logKiBPerCycle) / 2 ** 20 - prices.freeLogGiB);
  const endpointHours = input.isPrivate ? privateEndpoints * hoursPerMonth : 0;
  const lines: CostLine[] = [
    {
      ...{ what: 'logs and metrics, above the free grant', quantity: logGiB, unit: 'GiB' },
      monthly: logGiB * prices.logGiB,
    },
    {
      ...{ what: 'alerts', quantity: alerts.log + alerts.metric, unit: 'alerts' },
      monthly: alerts.log * prices.logAlertMonth + alerts.metric * prices.metricAlertMonth,
    },
  ];
  if (!input.isPrivate) return lines;
  const unit = 'endpoint hours';
  return [
    ...lines,
    {
      what: 'private endpoints',
      quantity: endpointHours,
      unit,
      monthly: endpointHours * prices.privateEndpointHour,
    },
  ];
}

/** A month of Lifeboat. Throws `InvalidRequest` that names an input which is impossible. */
export function estimateCost(input: CostInput, prices: Prices = pricesWith()): CostEstimate {
  requireInput(input);
  const volumes = volumesOf(input);
  return estimateOf(input.machines, [
    ...storageLines(input, volumes, prices),
    ...requestLines(input, volumes, prices),
    ...computeLines(input, volumes, prices),
    ...fixedLines(input, volumes, prices),
  ]);
}

/**
 * A month of Site Recovery for the same machines: its fee, replica disks as provisioned, and what recovery points hold. Its cache
 * and replication requests are left out, to its advantage.
 */
export function estimateSiteRecovery(input: CostInput, prices: Prices = pricesWith()): CostEstimate {
  requireInput(input);
  const { machines, diskGiB } = input;
  const { historyGiB } = volumesOf(input);
  const provisionedGiB = machines * sum(diskGiB);
  return estimateOf(machines, [
    {
      ...{ what: 'protected machines', quantity: machines, unit: 'machines' },
      monthly: machines * prices.siteRecoveryInstanceMonth,
    },
    {
      ...{ what: 'replica disks', quantity: provisionedGiB, unit: 'GiB' },
      monthly: provisionedGiB * prices.managedDiskGiBMonth,
    },
    {
      ...{ what: 'recovery points', quantity: historyGiB, unit: 'GiB' },
      monthly: historyGiB * prices.diskSnapshotGiBMonth,
    },
  ]);
}

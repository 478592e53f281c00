// agent.yaml: what the host protects and how. Unknown fields are refused, because a misspelt one would be ignored silently.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { isTimeZone } from '../../lib/schedule/localTime.ts';
import { AgentError } from '../agentError.ts';
import { diskFormats } from '../disk/reader.ts';
import { readError } from '../fileErrors.ts';
import type { BandwidthHours, BandwidthSchedule } from '../upload/bandwidth.ts';

const units = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 } as const;

/** Bytes: a number, or text such as `64 MiB`. */
const bytes = z
  .union([
    z.number().int().min(0),
    z.string().regex(/^\d+\s*([KMGT]i?B?|B)?$/i, 'must be bytes such as 64MiB'),
  ])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const unit = (/[KMGT]/i.exec(value)?.[0] ?? '').toLowerCase() as keyof typeof units;
    return Number.parseInt(value, 10) * units[unit];
  });
const rate = z.union([z.literal('unlimited').transform(() => null), bytes.refine((value) => value > 0)]);

const id = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9-]{1,64}$/, 'must have 1 to 64 characters of a-z, 0-9 and "-"');
const clockTime = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be a time such as "08:00"')
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const weekdays: (typeof dayNames)[number][] = ['mon', 'tue', 'wed', 'thu', 'fri'];

const bandwidth = z
  .strictObject({
    limit: rate.default(null),
    timeZone: z.string().refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin').default('UTC'),
    hours: z
      .array(
        z.strictObject({
          days: z.array(z.enum(dayNames)).min(1).default(weekdays),
          from: clockTime,
          to: clockTime,
          limit: rate,
        }),
      )
      .default([]),
  })
  .transform(({ limit, timeZone, hours }): BandwidthSchedule => ({
    timeZone,
    bytesPerSecond: limit,
    hours: hours.map(({ days, from, to, limit: bytesPerSecond }): BandwidthHours => ({
      days: days.map((day) => dayNames.indexOf(day)),
      ...{ startMinute: from, endMinute: to, bytesPerSecond },
    })),
  }));

const program = {
  command: z.array(z.string().min(1)).min(1),
  timeoutSeconds: z.number().min(1).max(86_400).optional(),
};
const tracker = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('scan'),
    workers: z.number().int().min(0).max(16).default(2),
    /** Without it the images must stand still while they are read. */
    view: z.strictObject(program).optional(),
  }),
  z.strictObject({ kind: z.literal('program'), ...program }),
  z.strictObject({ kind: z.literal('qemu'), qmpSocket: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('hrlFolder'),
    /** Shipped logs stay; without it they are deleted once their cycle is applied. */
    keepShipped: z.boolean().default(false),
    /** For resynchronizations; without it the images (`path`) must stand still while they are compared. */
    view: z.strictObject(program).optional(),
  }),
]);

const command = z.array(z.string().min(1)).min(1);

/** How the agent holds the writes of the machine, for the moments of a consistency group. */
const hold = z.strictObject({ command, timeoutSeconds: z.number().min(1).max(60).default(10) });

/** How the agent switches the machine off for a failover, and sees that it is off. */
const power = z.strictObject({
  /** Prints the machine's state and ends with 0: `off`, `shut off` or `stopped`; any other word means that it runs. */
  isRunning: command,
  /** Asks the guest to shut down; without it an administrator does it. */
  shutdown: command.optional(),
  timeoutSeconds: z.number().min(1).max(86_400).default(600),
});

const disk = z.strictObject({
  id,
  /** Image, device or NBD URI; for `qemu` the node or device name is in `node`. */
  path: z.string().min(1).optional(),
  format: z.enum(diskFormats).optional(),
  type: z.enum(['OperatingSystem', 'DataDisk']).optional(),
  /** `qemu`: device or node of the disk inside QEMU. */
  device: z.string().min(1).optional(),
  /** Needed where there is no `path` to look at, or nobody may open it while the machine runs. */
  sizeBytes: bytes.optional(),
  /** `hrlFolder`: where Hyper-V leaves the logs of this disk. */
  logs: z.string().min(1).optional(),
});

const machine = z
  .strictObject({
    id,
    name: z.string().min(1).max(256).optional(),
    generation: z
      .union([z.literal(1), z.literal(2)])
      .transform((value) => (value === 1 ? ('1' as const) : ('2' as const)))
      .default('2'),
    osType: z.enum(['Windows', 'Linux', 'Other']).default('Other'),
    cpuCount: z.number().int().min(1).max(4096).optional(),
    memoryMb: z.number().int().min(1).optional(),
    /** Seconds between two cycles, whatever the policy says. */
    intervalSeconds: z.number().min(0.1).max(86_400).optional(),
    tracker: tracker.default({ kind: 'scan', workers: 2 }),
    /** Without it a `qemu` tracker's machine is switched off through its monitor; others cannot fail over as planned. */
    power: power.optional(),
    /** For consistency groups. A `qemu` tracker needs none: it pauses the guest. */
    hold: hold.optional(),
    /** `original`: a failback writes what differs into the disks. `newDisk`: into new files that take their place at the end. */
    failback: z.enum(['original', 'newDisk']).default('original'),
    disks: z.array(disk).min(1).max(64),
  })
  .superRefine(({ tracker: { kind, ...of }, disks, hold: held }, context) => {
    const isFrozenByProgram =
      kind === 'program' || (kind === 'scan' && 'view' in of && of.view !== undefined);
    if (held && !isFrozenByProgram)
      context.addIssue({
        code: 'custom',
        path: ['hold'],
        message: 'is for trackers whose machine a program freezes: program, and scan with a view',
      });
    const needed = { scan: 'path', program: 'path', qemu: 'device', hrlFolder: 'logs' } as const;
    for (const [index, each] of disks.entries())
      if (each[needed[kind]] === undefined)
        context.addIssue({
          code: 'custom',
          path: ['disks', index, needed[kind]],
          message: `is needed by a tracker of kind ${kind}`,
        });
    for (const [index, each] of disks.entries())
      if (each.path === undefined && each.sizeBytes === undefined)
        context.addIssue({
          code: 'custom',
          path: ['disks', index, 'sizeBytes'],
          message: 'is needed without a path',
        });
    if (new Set(disks.map((each) => each.id)).size < disks.length)
      context.addIssue({ code: 'custom', path: ['disks'], message: 'two disks have the same id' });
  });

const config = z
  .strictObject({
    service: z
      .strictObject({
        url: z.url({ protocol: /^https?$/ }).optional(),
        /** Data directory of a service that `npm start` runs on this machine. */
        local: z.string().min(1).optional(),
        /** File that holds a key; without it the identity of `lifeboat agent register` is used. */
        keyFile: z.string().min(1).optional(),
      })
      .refine(({ url, local }) => (url === undefined) !== (local === undefined), 'needs either url or local'),
    site: z.string().min(1).max(64),
    host: z.string().min(1).max(255).optional(),
    stateFolder: z.string().min(1),
    spool: z.strictObject({ quota: bytes.default(10 * 1024 ** 3) }).default({ quota: 10 * 1024 ** 3 }),
    bandwidth: bandwidth.default({ timeZone: 'UTC', bytesPerSecond: null, hours: [] }),
    /** Seconds between two reports of the inventory: the heartbeat. */
    heartbeatSeconds: z.number().min(1).max(3600).default(60),
    /** Seconds between two looks at the service while there is nothing to do. */
    pollSeconds: z.number().min(0.1).max(600).default(15),
    pageWrites: z.number().int().min(1).max(64).default(4),
    machines: z.array(machine).min(1),
  })
  .refine(
    ({ machines }) => new Set(machines.map((each) => each.id)).size === machines.length,
    'two machines have the same id',
  );

export type AgentConfig = z.infer<typeof config> & {
  /** Of the file: paths in it are relative to its folder, and absolute here. */
  path: string;
};
export type MachineConfig = AgentConfig['machines'][number];

const action = 'Correct the file; docs/agent.md describes every field.';

/** Makes every path absolute, relative to the folder of the file. */
function resolvePaths(found: z.infer<typeof config>, path: string): AgentConfig {
  const at = (text: string): string =>
    /^nbd(\+unix)?:\/\//.test(text) ? text : resolve(dirname(path), text);
  const optional = (key: 'local' | 'keyFile' | 'path' | 'logs', text: string | undefined) =>
    text === undefined ? {} : { [key]: at(text) };
  return {
    ...found,
    path,
    stateFolder: at(found.stateFolder),
    service: {
      ...found.service,
      ...optional('local', found.service.local),
      ...optional('keyFile', found.service.keyFile),
    },
    machines: found.machines.map((each) => ({
      ...each,
      tracker:
        each.tracker.kind === 'qemu'
          ? { ...each.tracker, qmpSocket: at(each.tracker.qmpSocket) }
          : each.tracker,
      disks: each.disks.map((row) => ({
        ...row,
        ...optional('path', row.path),
        ...optional('logs', row.logs),
      })),
    })),
  };
}

/** Reads and checks a file. Throws AgentError `ConfigInvalid` that names every wrong field, or of the file. */
export async function readConfig(path: string): Promise<AgentConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw readError(error, path);
  });
  return parseConfig(text, path);
}

/** The same of text; `path` is only a name. */
export async function parseConfig(text: string, path: string): Promise<AgentConfig> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem) throw new AgentError('ConfigInvalid', `${path}: ${problem.message}`, action);
  const parsed = config.safeParse(document.toJS());
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path: field, message }) =>
      field.length === 0 ? message : `${field.map(String).join('.')}: ${message}`,
    );
    throw new AgentError('ConfigInvalid', `${path}: ${wrong.join('; ')}`, action);
  }
  return resolvePaths(parsed.data, path);
}

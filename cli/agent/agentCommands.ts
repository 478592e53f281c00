// What the commands of `lifeboat agent` do.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../agent/agentError.ts';
import { readConfig, type AgentConfig } from '../../agent/daemon/config.ts';
import { runDaemon } from '../../agent/daemon/daemon.ts';
import { readIdentity, registerHost, removeIdentity } from '../../agent/daemon/identity.ts';
import { findInstance } from '../../agent/daemon/instanceLock.ts';
import { hostNameOf, reportedMachine } from '../../agent/daemon/inventory.ts';
import { readStatus, type AgentStatus } from '../../agent/daemon/statusFile.ts';
import { readLocalService } from '../../agent/localService.ts';
import { mkdir } from 'node:fs/promises';
import packageJson from '../../package.json' with { type: 'json' };
import { NegativeResult } from '../failure.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { isUnread, pathOf, print, readStdin, type Io } from '../io.ts';
import { startLiveAgent } from './liveAgent.ts';
import { formatTable } from '../table.ts';

export interface AgentOptions {
  config: string;
  json?: boolean;
}

export interface RegisterOptions extends AgentOptions {
  key?: string;
}

const configOf = (io: Io, { config }: AgentOptions): Promise<AgentConfig> => readConfig(pathOf(io, config));

/** Runs until the signal; an interrupt is the normal end. Throws AgentError. */
export async function runAgent(io: Io, options: AgentOptions): Promise<void> {
  const config = await configOf(io, options);
  if (options.json === true) {
    const log = (message: string): void =>
      void io.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), message })}\n`);
    return runDaemon({ config, signal: io.signal, log });
  }
  const { log, onStatus, end } = startLiveAgent(io);
  await runDaemon({
    ...{ config, signal: io.signal, onStatus },
    log: (message) => log(`${new Date().toISOString()} ${message}`),
  }).finally(end);
}

function activityText({ activity }: AgentStatus['items'][number]): string {
  const { doing, doneBytes, totalBytes } = activity;
  if (doneBytes === undefined || totalBytes === undefined || totalBytes === 0) return doing;
  return `${doing}, ${Math.floor((100 * doneBytes) / totalBytes)} % of ${formatBytes(totalBytes)}`;
}

function statusText(status: AgentStatus, pid: number | undefined): string {
  const { service, spool, machines, items } = status;
  const facts = formatFacts([
    ['agent', pid === undefined ? `not running (last seen ${status.updatedAt})` : `running, process ${pid}`],
    ['service', `${service.url}, ${service.problem ?? `last answer ${service.reachedAt ?? 'never'}`}`],
    [
      'spool',
      `${formatBytes(spool.usedBytes)} of ${formatBytes(spool.quotaBytes)}${spool.fullAt === null ? '' : `, full at ${spool.fullAt}`}`,
    ],
  ]);
  const broken = machines.filter(({ problem }) => problem !== null);
  const problems = broken.map(({ machine, problem }) => `${machine}: ${problem ?? ''}\n`).join('');
  const rows = items.map((each) => [
    each.item,
    String(each.appliedCycle),
    each.lastFrozenAt?.slice(0, 19) ?? '-',
    activityText(each),
  ]);
  return `${facts}${problems}${rows.length === 0 ? 'No protected items.\n' : `\n${formatTable(['ITEM', 'CYCLE', 'LAST FROZEN', 'DOING'], rows)}`}`;
}

/** Exit code 1 when no agent runs. Throws AgentError. */
export async function showStatus(io: Io, options: AgentOptions & { watch?: true }): Promise<void> {
  const { stateFolder } = await configOf(io, options);
  for (;;) {
    const status = await readStatus(stateFolder);
    const instance = await findInstance(join(stateFolder, 'agent.lock'));
    if (options.json === true)
      await print(io, `${JSON.stringify({ isRunning: instance !== undefined, status: status ?? null })}\n`);
    else
      await print(
        io,
        status ? statusText(status, instance?.pid) : `No agent has run in ${stateFolder} yet.\n`,
      );
    if (options.watch !== true || isUnread(io)) {
      if (!instance) throw new NegativeResult();
      return;
    }
    await sleep(1000, undefined, { signal: io.signal });
  }
}

/** Throws AgentError and ServiceError. May be repeated with the same key after a lost answer. */
export async function register(io: Io, options: RegisterOptions): Promise<void> {
  const config = await configOf(io, options);
  const { url, local } = config.service;
  const serviceUrl = url ?? (await readLocalService(local ?? '')).url;
  const registrationKey = (options.key ?? (await readStdin(io))).trim();
  await mkdir(config.stateFolder, { recursive: true, mode: 0o700 });
  const identity = await registerHost({
    ...{ stateFolder: config.stateFolder, serviceUrl, registrationKey, hostName: hostNameOf(config) },
    ...{ agentVersion: packageJson.version, signal: io.signal },
  });
  const { hostId, hostName, site } = identity;
  if (site !== null && site.toLowerCase() !== config.site.toLowerCase()) {
    const message = `The registration key is of site ${site}, and agent.yaml names ${config.site}.`;
    throw new AgentError(
      'ConfigInvalid',
      message,
      `Set site: ${site} in agent.yaml. The host is registered.`,
    );
  }
  if (options.json === true) await print(io, `${JSON.stringify({ hostId, hostName, site, serviceUrl })}\n`);
  else
    await print(
      io,
      formatFacts([
        ['registered', hostName],
        ['host id', hostId ?? ''],
        ['site', site ?? ''],
        ['service', serviceUrl],
      ]),
    );
}

/** Not registered: says so, and changes nothing. */
export async function unregister(io: Io, options: AgentOptions): Promise<void> {
  const { stateFolder } = await configOf(io, options);
  const identity = await readIdentity(stateFolder);
  await removeIdentity(stateFolder);
  const note = 'An Owner revokes the host at the service: lifeboat site hosts --revoke <host id>.';
  if (options.json === true) await print(io, `${JSON.stringify({ hostId: identity?.hostId ?? null })}\n`);
  else
    await print(
      io,
      identity
        ? `The key pair of ${identity.hostName} (${identity.hostId ?? 'not enrolled'}) is removed.\n${note}\n`
        : 'This host is not registered.\n',
    );
}

/** Exit code 1 when a disk cannot be opened. Throws AgentError for the file. */
export async function check(io: Io, options: AgentOptions): Promise<void> {
  const config = await configOf(io, options);
  const results: { machine: string; problem: string | null; diskBytes: number }[] = [];
  for (const machine of config.machines) {
    try {
      const { disks } = await reportedMachine(machine);
      const diskBytes = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      results.push({ machine: machine.id, problem: null, diskBytes });
    } catch (error) {
      results.push({
        machine: machine.id,
        problem: error instanceof Error ? error.message : String(error),
        diskBytes: 0,
      });
    }
  }
  if (options.json === true)
    await print(io, `${JSON.stringify({ config: config.path, machines: results })}\n`);
  else
    await print(
      io,
      formatTable(
        ['MACHINE', 'DISKS', 'RESULT'],
        results.map(({ machine, diskBytes, problem }) => [
          machine,
          formatBytes(diskBytes),
          problem ?? 'good',
        ]),
      ),
    );
  if (results.some(({ problem }) => problem !== null)) throw new NegativeResult();
}

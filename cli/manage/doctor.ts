// `lifeboat doctor`: everything between this machine and the service, in the order in which it has to work; what fails says what
// to do about it.
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { AgentError } from '../../agent/agentError.ts';
import { readConfig, type AgentConfig } from '../../agent/daemon/config.ts';
import { reportedMachine } from '../../agent/daemon/inventory.ts';
import { serviceSettings } from '../../agent/daemon/serviceAccess.ts';
import { serviceClient } from '../../agent/serviceClient.ts';
import { describeFailure, NegativeResult } from '../failure.ts';
import { formatBytes } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { findService, type ServiceOptions } from './login.ts';
import { Management } from './management.ts';
import { isHealthy } from './settings.ts';

export interface DoctorOptions extends ServiceOptions {
  config?: string;
}

interface Finding {
  check: string;
  result: 'good' | 'bad' | 'skipped';
  detail: string;
  action?: string;
}

class Skipped extends Error {}

const connectTimeoutMs = 5000;
const largestSkewMs = 60_000;
const leastNode = [20, 19];

function reach(url: string): Promise<void> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
    const end = (error?: Error): void => {
      socket.destroy();
      if (error)
        reject(
          new AgentError(
            'ServiceUnreachable',
            `${hostname} does not take connections: ${error.message}.`,
            'Check name resolution, proxy and firewall.',
          ),
        );
      else resolve();
    };
    socket.setTimeout(connectTimeoutMs, () => end(new Error('no answer')));
    socket.once('connect', () => end()).once('error', end);
  });
}

/** What the clocks of both sides differ by. */
async function checkClock(url: string): Promise<string> {
  const before = Date.now();
  const { headers } = await fetch(new URL('/health', url), { signal: AbortSignal.timeout(connectTimeoutMs) });
  const theirs = Date.parse(headers.get('date') ?? '');
  if (Number.isNaN(theirs)) throw new Skipped('the service tells no time');
  const skewMs = theirs - (before + Date.now()) / 2;
  const text = `${Math.abs(Math.round(skewMs / 1000))} s apart`;
  if (Math.abs(skewMs) <= largestSkewMs) return text;
  throw new AgentError(
    'OperationFailed',
    `The clocks are ${text}: signed tokens and URLs will be refused.`,
    'Synchronize the clock of this machine (NTP).',
  );
}

async function checkStateFolder({ stateFolder, spool }: AgentConfig): Promise<string> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  await access(stateFolder, constants.W_OK);
  const { bavail, bsize } = await statfs(stateFolder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= spool.quota) return `${formatBytes(freeBytes)} are free`;
  const message = `${stateFolder} has ${formatBytes(freeBytes)} free, and the spool may take ${formatBytes(spool.quota)}.`;
  throw new AgentError('OutputFull', message, 'Free space, or set a smaller spool.quota.');
}

async function checkDisks({ machines }: AgentConfig): Promise<string> {
  let count = 0;
  for (const machine of machines) count += (await reportedMachine(machine)).disks.length;
  return `${count} disks can be read`;
}

async function checkAgentAccess(config: AgentConfig, signal: AbortSignal): Promise<string[]> {
  const client = serviceClient(await serviceSettings(config, signal));
  const assignments = await client.listAssignments(config.site);
  return assignments.flatMap(({ disks }) => disks.map(({ delta }) => delta.uploadUrl));
}

/** Checks one after the other; exit code 1 when one is bad. */
export async function runDoctor(io: Io, options: DoctorOptions): Promise<void> {
  const findings: Finding[] = [];
  const check = async <T>(
    name: string,
    work: () => Promise<{ value?: T; detail: string }>,
  ): Promise<T | undefined> => {
    try {
      const { value, detail } = await work();
      findings.push({ check: name, result: 'good', detail });
      return value;
    } catch (error) {
      if (error instanceof Skipped) findings.push({ check: name, result: 'skipped', detail: error.message });
      else {
        const { message, recommendedAction } = describeFailure(error, io.signal);
        findings.push({ check: name, result: 'bad', detail: message, action: recommendedAction });
      }
      return undefined;
    }
  };
  await check('Node.js', async () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const isNew = major > (leastNode[0] ?? 0) || (major === leastNode[0] && minor >= (leastNode[1] ?? 0));
    if (!isNew)
      throw new AgentError(
        'OperationFailed',
        `Node.js ${process.versions.node} is too old.`,
        'Install 20.19 or later.',
      );
    return { detail: process.versions.node };
  });
  const address = await check('service is known', async () => {
    const value = await findService(io, options);
    return { value, detail: value.url };
  });
  if (address) await checkService(io, address.url, check, options);
  if (options.config !== undefined) await checkAgent(io, options.config, check);
  await report(io, options, findings);
  if (findings.some(({ result }) => result === 'bad')) throw new NegativeResult();
}

type Check = <T>(name: string, work: () => Promise<{ value?: T; detail: string }>) => Promise<T | undefined>;

async function checkService(io: Io, url: string, check: Check, options: DoctorOptions): Promise<void> {
  await check('service takes connections', async () => {
    await reach(url);
    return { detail: new URL(url).host };
  });
  await check('service is healthy', async () => {
    await isHealthy(url, io.signal);
    return { detail: 'it answers, and so does its storage' };
  });
  await check('clocks agree', async () => ({ detail: await checkClock(url) }));
  await check('key is accepted', async () => {
    const management = await Management.connect(io, options);
    const sites = await management.listResources(management.path('replicationFabrics'));
    return { detail: `${sites.length} sites` };
  });
}

async function checkAgent(io: Io, file: string, check: Check): Promise<void> {
  const config = await check('agent.yaml is valid', async () => {
    const value = await readConfig(pathOf(io, file));
    return { value, detail: `${value.machines.length} machines of site ${value.site}` };
  });
  if (!config) return;
  await check('state folder', async () => ({ detail: await checkStateFolder(config) }));
  await check('disks', async () => ({ detail: await checkDisks(config) }));
  const urls = await check('agent is let in', async () => {
    const value = await checkAgentAccess(config, io.signal);
    return { value, detail: `${value.length} disks are assigned` };
  });
  await check('storage account takes connections', async () => {
    const [url] = urls ?? [];
    if (url === undefined) throw new Skipped('nothing is assigned yet');
    await reach(url);
    return { detail: new URL(url).host };
  });
}

async function report(io: Io, options: DoctorOptions, findings: readonly Finding[]): Promise<void> {
  if (options.json === true) {
    await print(io, `${JSON.stringify({ findings })}\n`);
    return;
  }
  const marks = { good: '✓', bad: '✗', skipped: '-' };
  const lines = findings.map(({ check, result, detail, action = '' }) => {
    const next = action === '' ? '' : `\n    → ${action}`;
    return `${marks[result]} ${check}: ${detail}${next}\n`;
  });
  await print(io, lines.join(''));
}

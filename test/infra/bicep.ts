// infra/ as the real compiler sees it: what it says about the source, and which resources a deployment would make, with
// every expression evaluated that needs no Azure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');
export const subscription = '00000000-0000-0000-0000-000000000001';
const tenant = '00000000-0000-0000-0000-000000000002';

export interface Resource {
  id: string;
  type: string;
  name: string;
  apiVersion: string;
  properties?: Record<string, unknown>;
  [field: string]: unknown;
}

const script = join(root, 'scripts', 'bicep.mjs');
const located = spawnSync(process.execPath, [script, '--path'], { encoding: 'utf8' });
/** Why there is no compiler, or undefined. */
export const missingCompiler = located.status === 0 ? undefined : located.stderr.trim();
if (missingCompiler !== undefined) console.warn(`Tests of infra/ are skipped. ${missingCompiler}`);

function run(args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(located.stdout.trim(), args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
}

/** Everything the compiler complains about; empty when all is well. */
export function complaints(template: string): string {
  const { status, stderr } = run(['build', join(root, 'infra', template), '--stdout']);
  return status === 0 ? stderr : `${stderr} (exit code ${status})`;
}

/** The resources that a deployment with these parameters would make. */
export function predictedResources(
  parameters: Readonly<Record<string, unknown>>,
  template = 'main.bicep',
): Resource[] {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-infra-'));
  try {
    const path = join(folder, 'parameters.bicepparam');
    const using = relative(folder, join(root, 'infra', template)).replaceAll('\\', '/');
    const lines = Object.entries(parameters).map(([name, value]) => `param ${name} = ${literal(value)}`);
    writeFileSync(path, [`using '${using}'`, ...lines, ''].join('\n'));
    const { status, stderr } = run([
      ...['snapshot', path, '--mode', 'overwrite', '--deployment-name', 'test'],
      ...['--tenant-id', tenant, '--subscription-id', subscription],
      ...(template === 'main.bicep' ? ['--location', 'westeurope'] : ['--resource-group', 'rg-test']),
    ]);
    if (status !== 0) throw new Error(stderr);
    const snapshot = JSON.parse(readFileSync(path.replace(/bicepparam$/, 'snapshot.json'), 'utf8')) as {
      predictedResources: Resource[];
    };
    return snapshot.predictedResources;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value.replaceAll("'", "\\'")}'`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, field]) => `${literal(name)}: ${literal(field)}`);
  return `{ ${fields.join(', ')} }`;
}

/** All resources of a type. */
export const ofType = (resources: readonly Resource[], type: string): Resource[] =>
  resources.filter((resource) => resource.type === type);

/** The one resource of a type whose name begins so. */
export function theOne(resources: readonly Resource[], type: string, namePrefix = ''): Resource {
  const found = ofType(resources, type).filter(({ name }) => name.startsWith(namePrefix));
  const [one] = found;
  if (one === undefined || found.length > 1) throw new Error(`${found.length} of ${type} ${namePrefix}*`);
  return one;
}

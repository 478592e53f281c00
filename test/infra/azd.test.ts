// What azd runs around the deployment: the parameters that it fills in, and the hooks, with a scripted Azure CLI.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from './bicep.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

describe('main.parameters.json', () => {
  const { parameters } = JSON.parse(read('infra/main.parameters.json')) as {
    parameters: Record<string, { value: string }>;
  };

  it('fills only parameters that the template has, and all that have no default', () => {
    const declared = [...read('infra/main.bicep').matchAll(/^param (\w+) \w+( =)?/gm)];
    const names = declared.map(([, name]) => name);
    expect(Object.keys(parameters).filter((name) => !names.includes(name))).toEqual([]);
    const needed = declared.filter(([, , hasDefault]) => !hasDefault).map(([, name = '']) => name);
    expect(needed.filter((name) => !(name in parameters))).toEqual([]);
  });

  it('asks for nothing more than azd knows: every other value has a default', () => {
    const known = ['AZURE_ENV_NAME', 'AZURE_LOCATION', 'AZURE_PRINCIPAL_ID', 'AZURE_KEY_VAULT_NAME'];
    for (const { value } of Object.values(parameters))
      for (const [, name = '', hasDefault] of value.matchAll(/\$\{(\w+)(=)?/g))
        expect(hasDefault === '=' || known.includes(name), name).toBe(true);
  });
});

describe('azure.yaml', () => {
  it('names files that exist and the package that the build makes', () => {
    const yaml = read('azure.yaml');
    for (const [, path = ''] of yaml.matchAll(/node (infra\/hooks\/\w+\.mjs)/g))
      expect(existsSync(join(root, path)), path).toBe(true);
    expect(yaml).toContain('dist: dist/package');
    expect(yaml).toContain('run: npm run package');
    expect(JSON.parse(read('package.json'))).toHaveProperty('scripts.package');
  });
});

/** Runs a hook with an `az` that logs its arguments and answers by the script, one line a call: `<exit code> <text>`. */
function runHook(hook: string, answers: string[], values: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-az-'));
  folders.push(folder);
  writeFileSync(join(folder, 'answers'), answers.join('\n'));
  writeFileSync(join(folder, 'calls'), '');
  writeFileSync(
    join(folder, 'az'),
    `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs');
const calls = readFileSync(${JSON.stringify(join(folder, 'calls'))}, 'utf8').split('\\n').length - 1;
appendFileSync(${JSON.stringify(join(folder, 'calls'))}, JSON.stringify(process.argv.slice(2)) + '\\n');
const lines = readFileSync(${JSON.stringify(join(folder, 'answers'))}, 'utf8').split('\\n');
const [code, ...text] = (lines[calls] ?? lines.at(-1)).split(' ');
(code === '0' ? process.stdout : process.stderr).write(text.join(' '));
process.exitCode = Number(code);
`,
  );
  chmodSync(join(folder, 'az'), 0o755);
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'infra', 'hooks', hook)], {
    encoding: 'utf8',
    env: { PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`, LIFEBOAT_HOOK_WAIT_MS: '1', ...values },
  });
  const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n').filter(Boolean);
  return { status, stdout, stderr, calls: calls.map((line) => JSON.parse(line) as string[]) };
}

const values = {
  AZURE_ENV_NAME: 'prod',
  AZURE_SUBSCRIPTION_ID: 's1',
  AZURE_RESOURCE_GROUP: 'rg-prod',
  AZURE_FUNCTION_APP_NAME: 'func-x',
  LIFEBOAT_EVENT_TOPIC_NAME: 'evgt-x',
};

describe.skipIf(process.platform === 'win32')('the hook after deployment', () => {
  it('tries until the app answers the handshake of the subscription', () => {
    const { status, calls } = runHook('subscribeToUploads.mjs', ['1 not yet', '1 not yet', '0 '], values);
    expect(status).toBe(0);
    expect(calls).toHaveLength(3);
    expect(calls[2]).toEqual(
      expect.arrayContaining(['appName=func-x', 'topicName=evgt-x', 'rg-prod', 's1']) as string[],
    );
    const template = calls[2]?.[calls[2].indexOf('--template-file') + 1] ?? '';
    expect(existsSync(template)).toBe(true);
  });

  it('gives up with the last error and what to do', () => {
    const { status, stderr, calls } = runHook('subscribeToUploads.mjs', ['1 no key blobs_extension'], values);
    expect(status).toBe(1);
    expect(calls).toHaveLength(20);
    expect(stderr).toContain('no key blobs_extension');
    expect(stderr).toContain('azd hooks run postdeploy');
  });

  it('names a value that azd did not give', () => {
    const { status, stderr, calls } = runHook('subscribeToUploads.mjs', ['0 '], {
      ...values,
      AZURE_FUNCTION_APP_NAME: '',
    });
    expect([status, calls.length]).toEqual([1, 0]);
    expect(stderr).toContain('AZURE_FUNCTION_APP_NAME is not set');
  });

  it('says so when there is no Azure CLI', () => {
    const { status, stderr } = runHook('subscribeToUploads.mjs', ['0 '], { ...values, PATH: '/nowhere' });
    expect(status).toBe(1);
    expect(stderr).toContain('Azure CLI (az) is not installed');
  });
});

describe.skipIf(process.platform === 'win32')('the hook after azd down', () => {
  it('deletes the custom role by the name that the template gives it', () => {
    const { status, calls } = runHook('removeRecoveryRole.mjs', ['0 role-guid', '0 '], values);
    expect(status).toBe(0);
    const name = calls[0]?.[calls[0].indexOf('--name') + 1];
    const pattern = /roleName: '(.+)'/.exec(read('infra/modules/recovery.bicep'))?.[1];
    const group = /'(rg-\$\{environmentName\}-recovery)'/.exec(read('infra/main.bicep'))?.[1];
    expect(
      pattern?.replace('${resourceGroup().name}', group?.replace('${environmentName}', 'prod') ?? ''),
    ).toBe(name);
    expect(calls[1]?.slice(0, 5)).toEqual(['role', 'definition', 'delete', '--name', 'role-guid']);
  });

  it('is content when the role is gone already, and says so when it cannot be deleted', () => {
    expect(runHook('removeRecoveryRole.mjs', ['0 '], values).status).toBe(0);
    const refused = runHook('removeRecoveryRole.mjs', ['0 role-guid', '1 has assignments'], values);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('has assignments');
  });
});

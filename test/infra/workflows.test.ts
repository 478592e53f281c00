// What GitHub would refuse, or run differently from here: the workflows against the rules that they must follow.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { root } from './bicep.ts';

const folder = join(root, '.github', 'workflows');
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');

const step = z
  .strictObject({
    ...{ name: z.string().optional(), if: z.string().optional(), uses: z.string().optional() },
    ...{ run: z.string().optional(), env: z.record(z.string(), z.unknown()).optional() },
    with: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(({ uses, run }) => (uses === undefined) !== (run === undefined), 'a step either uses or runs');
const workflow = z.strictObject({
  name: z.string(),
  on: z.partialRecord(z.enum(['push', 'pull_request', 'schedule', 'workflow_dispatch']), z.unknown()),
  permissions: z.record(z.string(), z.enum(['read', 'write'])),
  concurrency: z.unknown().optional(),
  jobs: z.record(
    z.string().regex(/^[A-Za-z_][\w-]*$/),
    z.strictObject({
      'runs-on': z.literal('ubuntu-latest'),
      'timeout-minutes': z.number(),
      strategy: z
        .strictObject({ 'fail-fast': z.boolean(), matrix: z.record(z.string(), z.array(z.string())) })
        .optional(),
      environment: z.string().optional(),
      env: z.record(z.string(), z.string()).optional(),
      steps: z.array(step).min(1),
    }),
  ),
});

const names = readdirSync(folder).filter((name) => name.endsWith('.yml'));
const workflows = names.map((name) => [name, read('.github', 'workflows', name)] as const);

describe.each(workflows)('%s', (_name, text) => {
  const { jobs, permissions } = workflow.parse(parse(text));
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it('uses actions at a commit, with its version beside it; only the installer of azd has none', () => {
    const used = [...text.matchAll(/uses: (.*)$/gm)].map(([, what = '']) => what);
    expect(used).toHaveLength(steps.filter(({ uses }) => uses !== undefined).length);
    for (const what of used)
      if (what !== 'Azure/setup-azd@v2')
        expect(what).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('asks for no right but to read, and to prove who it is', () => {
    expect(permissions['contents']).toBe('read');
    expect(Object.keys(permissions).filter((name) => name !== 'contents')).toEqual(
      text.includes('azd auth login') ? ['id-token'] : [],
    );
    expect(text).not.toMatch(/secrets\./);
  });

  it('runs scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const [, script = ''] of text.matchAll(/npm run (?:-s |--silent )?([\w:]+)/g))
      expect(scripts).toHaveProperty(script);
  });
});

it('CI runs what .ci/run runs, with the same Debian packages', () => {
  const packages = (text: string): string[] =>
    (/--no-install-recommends\s+\\?\s*((?:[\w.+-]+\s+)*[\w.+-]+)/.exec(text)?.[1] ?? '').split(/\s+/).sort();
  const ci = read('.github', 'workflows', 'ci.yml');
  expect(ci).toContain('run: bash .ci/run');
  const wanted = packages(read('.ci', 'run'));
  expect(wanted.length).toBeGreaterThan(3);
  expect(packages(ci.slice(0, ci.indexOf('- name: Checks and tests')).replace(/- *$/, ''))).toEqual(wanted);
});

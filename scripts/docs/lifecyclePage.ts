// docs/lifecycle.md, from the state table of lib/protection/states.ts and the kinds of job of lib/jobs/kinds.ts.
import { jobKinds } from '../../lib/jobs/kinds.ts';
import type { JobKind } from '../../lib/jobs/kinds.ts';
import { protectionStates, stateTable } from '../../lib/protection/states.ts';

function diagram(): string[] {
  const lines = ['```mermaid', 'stateDiagram-v2', '  [*] --> EnablingProtection: enable'];
  for (const state of protectionStates)
    for (const [event, next] of Object.entries(stateTable[state].on))
      lines.push(`  ${state} --> ${next}: ${event}`);
  return [...lines, '  DisablingProtection --> [*]: everything is deleted', '```'];
}

function stateRows(): string[] {
  return protectionStates.map((state) => {
    const { description, allows, merges, source } = stateTable[state];
    return `| \`${state}\` | ${description} | ${merges ? 'yes' : 'no'} | ${source} | ${allows.join(', ')} |`;
  });
}

function jobRows(): string[] {
  return Object.entries<JobKind>(jobKinds).map(
    ([name, { scenario, steps, isCancellable, isRestartable }]) => {
      const names = steps.map(({ friendlyName }) => friendlyName).join(' → ');
      const actions = [...(isCancellable ? ['Cancel'] : []), ...(isRestartable ? ['Restart'] : [])].join(
        ', ',
      );
      return `| \`${name}\` | ${scenario} | ${names} | ${actions} |`;
    },
  );
}

/** The whole file. */
export function lifecyclePage(): string {
  return [
    '# The life of a protected machine',
    '',
    '`npm run docs` writes this page from `lib/protection/states.ts` and `lib/jobs/kinds.ts`. An event that a state does not',
    'name is refused: a late or doubled one cannot move an item backwards.',
    '',
    ...diagram(),
    '',
    '"Merges": logs that have arrived are merged. "Source": the phase that the host reads in its assignment. What is allowed',
    'besides depends on what else the item is doing: one job runs at a time, and only disabling takes over from it.',
    '',
    '| state | means | merges | source | allows |',
    '|---|---|---|---|---|',
    ...stateRows(),
    '',
    '## Jobs',
    '',
    'A job’s id is its ARM operation id and its orchestration’s instance id. A job that is cancelled stops before its next step.',
    '',
    '| kind | scenario | steps | actions |',
    '|---|---|---|---|',
    ...jobRows(),
    '',
  ].join('\n');
}

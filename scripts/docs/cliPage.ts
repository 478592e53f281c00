// docs/cli.md: what people wrote, and below the mark every command as it is.
import type { Command } from 'commander';
import { PassThrough } from 'node:stream';
import { program } from '../../cli/program.ts';

const mark = '<!-- Below this line: made from the commands by `npm run docs`. -->';

const tree = (): Command =>
  program(
    {
      ...{ stdout: new PassThrough(), stderr: new PassThrough(), stdin: new PassThrough() },
      ...{ env: {}, cwd: '.', signal: new AbortController().signal },
    },
    false,
  );

const cell = (text: string): string => text.replaceAll('|', '\\|');

function sectionOf(command: Command, path: string): string[] {
  const usage = command.registeredArguments
    .map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '…' : ''}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    })
    .join(' ');
  const rows = [
    ...command.registeredArguments.map((argument) => [`\`${argument.name()}\``, argument.description]),
    ...command.options
      .filter(({ hidden, long }) => !hidden && long !== '--json')
      .map(({ flags, description, defaultValue, mandatory }) => {
        const about = [
          ...(mandatory ? ['required'] : []),
          ...(typeof defaultValue === 'string' ? [`default ${defaultValue}`] : []),
        ].join(', ');
        return [`\`${flags}\``, about === '' ? description : `${description} (${about})`];
      }),
  ];
  return [
    `### ${path}`,
    '',
    `\`${path}${usage === '' ? '' : ` ${usage}`}\`: ${command.description()}`,
    '',
    ...(rows.length === 0
      ? []
      : [
          '| argument | |',
          '|---|---|',
          ...rows.map((row) => `| ${row.map((text) => cell(text)).join(' | ')} |`),
          '',
        ]),
  ];
}

function sectionsOf(command: Command, path: string): string[] {
  const children = command.commands.filter((child) => child.name() !== 'help');
  if (children.length === 0) return sectionOf(command, path);
  return children.flatMap((child) => sectionsOf(child, `${path} ${child.name()}`));
}

/** The page with its lower part made anew. */
export function cliPage(current: string): string {
  const written = current.split(mark)[0]?.trimEnd() ?? '';
  const sections = sectionsOf(tree(), 'lifeboat').join('\n');
  return `${written}\n\n${mark}\n\n## All commands\n\nEvery one also takes \`--json\` and \`--help\`.\n\n${sections.trimEnd()}\n`;
}

// Scripts that make shells complete commands and options; made from the commands themselves.
import type { Command } from 'commander';

export type Shell = 'bash' | 'zsh' | 'powershell';

interface Choice {
  /** Words before it: `item list`. */
  path: string;
  words: string[];
}

/** Every command with what may follow it. */
function choicesOf(command: Command, path: readonly string[] = []): Choice[] {
  const visible = command.commands.filter((child) => child.name() !== 'help');
  const options = command.options.flatMap(({ long }) => long ?? []);
  const own = {
    path: path.join(' '),
    words: [...visible.map((child) => child.name()), ...options, '--help'].sort(),
  };
  return [own, ...visible.flatMap((child) => choicesOf(child, [...path, child.name()]))];
}

function bash(choices: readonly Choice[]): string {
  const cases = choices.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`).join('\n');
  return `# lifeboat completion bash > /etc/bash_completion.d/lifeboat
_lifeboat() {
  local path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases}
  esac
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"));
  else COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")); fi
}
complete -F _lifeboat lifeboat
`;
}

function zsh(choices: readonly Choice[]): string {
  return `#compdef lifeboat
# lifeboat completion zsh > "\${fpath[1]}/_lifeboat"
autoload -U +X bashcompinit && bashcompinit
${bash(choices).split('\n').slice(1).join('\n')}`;
}

function powershell(choices: readonly Choice[]): string {
  const entries = choices
    .map(({ path, words }) => `  '${path}' = @(${words.map((word) => `'${word}'`).join(', ')})`)
    .join('\n');
  return `# lifeboat completion powershell | Out-String | Invoke-Expression
$lifeboatWords = @{
${entries}
}
Register-ArgumentCompleter -Native -CommandName lifeboat -ScriptBlock {
  param($word, $ast, $position)
  $before = $ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" }
  $path = ($before | Where-Object { $_ -notlike '-*' -and $_ -ne $word }) -join ' '
  $lifeboatWords[$path] | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}

/** The script for a shell. */
export function completionScript(root: Command, shell: Shell): string {
  const choices = choicesOf(root);
  return { bash, zsh, powershell }[shell](choices);
}

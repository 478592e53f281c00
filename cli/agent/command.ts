// `lifeboat agent …`: the program that runs on a source host.
import { Command } from 'commander';
import type { Io } from '../io.ts';
import type { AgentOptions, RegisterOptions } from './agentCommands.ts';

const withConfig = (command: Command): Command =>
  command.option('--config <file>', 'configuration of the agent', 'agent.yaml');

export function agentCommand(io: Io): Command {
  const agent = new Command('agent').description('Run the agent of a source host, and look at it.');
  agent.addCommand(
    withConfig(new Command('run'))
      .description('Replicate the machines that the configuration names, until it is interrupted.')
      .action(async (options: AgentOptions) => (await import('./agentCommands.ts')).runAgent(io, options)),
  );
  agent.addCommand(
    withConfig(new Command('status'))
      .description('Show what the agent of this folder is doing.')
      .option('--watch', 'show it again every second')
      .action(async (options: AgentOptions & { watch?: true }) =>
        (await import('./agentCommands.ts')).showStatus(io, options),
      ),
  );
  agent.addCommand(
    withConfig(new Command('register'))
      .description('Enrol this host with a registration key. The key is read from stdin unless it is given.')
      .option('--key <key>', 'registration key (better: on stdin)')
      .action(async (options: RegisterOptions) => (await import('./agentCommands.ts')).register(io, options)),
  );
  agent.addCommand(
    withConfig(new Command('unregister'))
      .description('Forget the key pair of this host. Its protected items stay until protection is disabled.')
      .action(async (options: AgentOptions) => (await import('./agentCommands.ts')).unregister(io, options)),
  );
  agent.addCommand(
    withConfig(new Command('check'))
      .description('Check the configuration, and open every disk that it names.')
      .action(async (options: AgentOptions) => (await import('./agentCommands.ts')).check(io, options)),
  );
  return agent;
}

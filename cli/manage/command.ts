// The operator's commands: declarations only; what they do is loaded when they run.
import { Argument, Command, Option } from 'commander';
import type { Io } from '../io.ts';
import type { DoctorOptions } from './doctor.ts';
import type { EnableOptions } from './items.ts';
import type { DownloadOptions } from './points.ts';
import type { LoginOptions, PolicySetOptions } from './settings.ts';
import type { JobOptions, ShowOptions } from './show.ts';

/** Where the service is: the same for all of them. */
const withService = (command: Command): Command =>
  command
    .option('--service <url>', 'address of the service (or LIFEBOAT_URL)')
    .option('--key <key>', 'key of the service (or LIFEBOAT_KEY, which other users cannot see)')
    .option('--vault <id>', 'ARM id of the vault (or LIFEBOAT_VAULT_ID)')
    .option('--local <dir>', 'use the service that runs with this data folder (default: ./.lifeboat)');
const withWatch = (command: Command): Command =>
  withService(command).option('--watch', 'show it again every two seconds');
const withWait = (command: Command): Command =>
  withService(command).option('--wait', 'wait for the end of the job');
const limit = (howMany: string): Option => new Option('--limit <n>', 'most rows').default(howMany);

function itemCommand(io: Io): Command {
  const item = new Command('item').description('Protected items.');
  item.addCommand(
    withWatch(new Command('list'))
      .description('List the protected items with their health and RPO.')
      .action(async (options: ShowOptions) => (await import('./items.ts')).listItems(io, options)),
  );
  item.addCommand(
    withWatch(new Command('show'))
      .description('Show all that is known of an item.')
      .argument('<item>', 'name of the item')
      .action(async (name: string, options: ShowOptions) =>
        (await import('./items.ts')).showItem(io, name, options),
      ),
  );
  item.addCommand(
    withWait(new Command('enable'))
      .description('Protect a machine that a source host has reported.')
      .argument('<machine>', 'id of the machine')
      .addOption(new Option('--site <site>', 'site of the machine').makeOptionMandatory())
      .addOption(new Option('--policy <policy>', 'policy to replicate by').makeOptionMandatory())
      .option('--name <item>', 'name of the item (default: the id of the machine)')
      .option('--disks <ids...>', 'only these disks')
      .action(async (name: string, options: EnableOptions) =>
        (await import('./items.ts')).enableItem(io, name, options),
      ),
  );
  const verbs = [
    ['disable', 'Stop protecting an item and delete its replica and recovery points.'],
    ['resync', 'Compare the marked disks, or all, with the source now.'],
    ['pause', 'Stop sending cycles; nothing is lost.'],
    ['resume', 'Go on after a pause.'],
  ] as const;
  for (const [verb, description] of verbs)
    item.addCommand(
      withWait(new Command(verb))
        .description(description)
        .argument('<item>', 'name of the item')
        .action(async (name: string, options: JobOptions) =>
          (await import('./items.ts')).doItemVerb(io, verb, name, options),
        ),
    );
  return item;
}

function jobCommand(io: Io): Command {
  const job = new Command('job').description('Jobs of the service.');
  job.addCommand(
    withWatch(new Command('list'))
      .description('List jobs, the newest first.')
      .addOption(limit('20'))
      .option('--state <state>', 'only jobs in this state, e.g. InProgress or Failed')
      .action(async (options: ShowOptions & { limit?: string; state?: string }) =>
        (await import('./jobs.ts')).listJobs(io, options),
      ),
  );
  job.addCommand(
    withWatch(new Command('show'))
      .description('Show a job with its steps.')
      .argument('<job>', 'id of the job')
      .action(async (id: string, options: ShowOptions) =>
        (await import('./jobs.ts')).showJob(io, id, options),
      ),
  );
  job.addCommand(
    withService(new Command('watch'))
      .description('Show a job until it ends; fails when it does.')
      .argument('<job>', 'id of the job')
      .action(async (id: string, options: ShowOptions) =>
        (await import('./jobs.ts')).watchJob(io, id, options),
      ),
  );
  for (const verb of ['cancel', 'restart', 'resume'] as const)
    job.addCommand(
      withWait(new Command(verb))
        .description(`${verb[0]?.toUpperCase() ?? ''}${verb.slice(1)} a job.`)
        .argument('<job>', 'id of the job')
        .action(async (id: string, options: JobOptions) =>
          (await import('./jobs.ts')).doJobVerb(io, verb, id, options),
        ),
    );
  return job;
}

function pointCommand(io: Io): Command {
  const point = new Command('recovery-point').alias('rp').description('Recovery points of an item.');
  point.addCommand(
    withWatch(new Command('list'))
      .description('List the recovery points of an item, the newest first.')
      .argument('<item>', 'name of the item')
      .addOption(limit('30'))
      .action(async (name: string, options: ShowOptions) =>
        (await import('./points.ts')).listPoints(io, name, options),
      ),
  );
  point.addCommand(
    withService(new Command('verify'))
      .description('Compare the next recovery point with the source, block by block; fails when they differ.')
      .argument('<item>', 'name of the item')
      .option('--no-wait', 'do not wait for the verdict')
      .action(async (name: string, options: JobOptions) =>
        (await import('./points.ts')).verifyPoint(io, name, options),
      ),
  );
  point.addCommand(
    withService(new Command('download'))
      .description('Write a disk of a recovery point into a sparse file; goes on where it was interrupted.')
      .argument('<item>', 'name of the item')
      .argument('<file>', 'the file to be made')
      .option('--point <point>', 'name or cycle of the point (default: the newest)')
      .option('--disk <id>', 'the disk; may be left out when there is one')
      .addOption(
        new Option('--format <format>', 'with or without the footer of a VHD')
          .choices(['vhd', 'raw'])
          .default('vhd'),
      )
      .action(async (name: string, file: string, options: DownloadOptions) =>
        (await import('./points.ts')).downloadPoint(io, name, file, options),
      ),
  );
  return point;
}

function policyCommand(io: Io): Command {
  const policy = new Command('policy').description('Replication policies.');
  policy.addCommand(
    withWatch(new Command('list'))
      .description('List the policies.')
      .action(async (options: ShowOptions) => (await import('./settings.ts')).listPolicies(io, options)),
  );
  policy.addCommand(
    withWatch(new Command('show'))
      .description('Show a policy.')
      .argument('<policy>', 'name of the policy')
      .action(async (name: string, options: ShowOptions) =>
        (await import('./settings.ts')).showPolicy(io, name, options),
      ),
  );
  policy.addCommand(
    withService(new Command('set'))
      .description('Make a policy, or change what is given.')
      .argument('<policy>', 'name of the policy')
      .option('--interval <seconds>', 'seconds between two cycles: 30, 300 or 900')
      .option('--keep-hours <hours>', 'hours for which every recovery point is kept')
      .option('--app-consistent-hours <hours>', 'hours between application-consistent points')
      .option('--hourly-hours <hours>', 'after that, hours for which one point an hour is kept')
      .option('--daily-days <days>', 'after that, days for which one point a day is kept')
      .option('--parallel-disks <n>', 'disks of a machine that are copied at once')
      .option('--scrub-every-days <days>', 'days between two comparisons with the source')
      .addOption(
        new Option('--verify <how>', 'whether every cycle is read back').choices(['none', 'readback']),
      )
      .action(async (name: string, options: PolicySetOptions) =>
        (await import('./settings.ts')).setPolicy(io, name, options),
      ),
  );
  policy.addCommand(
    withService(new Command('delete'))
      .description('Delete a policy that nothing uses.')
      .argument('<policy>', 'name of the policy')
      .action(async (name: string, options: JobOptions) =>
        (await import('./settings.ts')).removeResource(io, 'replicationPolicies', name, options),
      ),
  );
  return policy;
}

function siteCommand(io: Io): Command {
  const site = new Command('site').description('Sites and their source hosts.');
  site.addCommand(
    withWatch(new Command('list'))
      .description('List the sites and the hosts that are enrolled.')
      .action(async (options: ShowOptions) => (await import('./settings.ts')).listSites(io, options)),
  );
  site.addCommand(
    withService(new Command('create'))
      .description('Make a site.')
      .argument('<site>', 'name of the site')
      .action(async (name: string, options: JobOptions) =>
        (await import('./settings.ts')).createSite(io, name, options),
      ),
  );
  site.addCommand(
    withService(new Command('delete'))
      .description('Delete a site without protected items.')
      .argument('<site>', 'name of the site')
      .action(async (name: string, options: JobOptions) =>
        (await import('./settings.ts')).removeResource(io, 'replicationFabrics', name, options),
      ),
  );
  site.addCommand(
    withService(new Command('key'))
      .description('Make a registration key for one source host, good for five days.')
      .argument('<site>', 'name of the site')
      .option('--host <name>', 'only for the host of this name')
      .action(async (name: string, options: ShowOptions & { host?: string }) =>
        (await import('./settings.ts')).createKey(io, name, options),
      ),
  );
  site.addCommand(
    withService(new Command('revoke'))
      .description('Revoke a source host.')
      .argument('<host>', 'id of the host')
      .action(async (host: string, options: ShowOptions) =>
        (await import('./settings.ts')).revokeHost(io, host, options),
      ),
  );
  return site;
}

function sessionCommands(io: Io, completion: (shell: string) => string): Command[] {
  return [
    withService(new Command('login'))
      .description('Remember a service: with a key, or with your sign-in to Azure.')
      .option('--key-stdin', 'read the key from stdin')
      .option('--scope <scope>', 'scope of the app in Entra ID, e.g. api://lifeboat/.default')
      .action(async (options: LoginOptions) => (await import('./settings.ts')).login(io, options)),
    new Command('logout')
      .description('Forget the service.')
      .action(async (options: ShowOptions) => (await import('./settings.ts')).logout(io, options)),
    withService(new Command('doctor'))
      .description('Check everything between this machine and the service, and say what to fix.')
      .option('--config <file>', 'check this configuration of an agent too')
      .action(async (options: DoctorOptions) => (await import('./doctor.ts')).runDoctor(io, options)),
    new Command('completion')
      .description('Print a script that makes a shell complete commands.')
      .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'powershell']))
      .action((shell: string) => void io.stdout.write(completion(shell))),
  ];
}

/** `completion` gives the script for a shell; it needs the whole tree. */
export function operatorCommands(io: Io, completion: (shell: string) => string): Command[] {
  const rpo = withWatch(new Command('rpo'))
    .description('Show the statistics of an item.')
    .argument('<item>', 'name of the item')
    .option('--series', 'print the RPO over time as JSON')
    .action(async (name: string, options: ShowOptions & { series?: true }) =>
      (await import('./items.ts')).showRpo(io, name, options),
    );
  const events = withWatch(new Command('events'))
    .description('List what happened, the newest first.')
    .addOption(limit('30'))
    .action(async (options: ShowOptions) => (await import('./items.ts')).listEvents(io, options));
  return [
    itemCommand(io),
    jobCommand(io),
    pointCommand(io),
    policyCommand(io),
    siteCommand(io),
    events,
    rpo,
    ...sessionCommands(io, completion),
  ];
}

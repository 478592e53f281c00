// The command line: its options, their defaults, and what cannot be combined. Wrong arguments are StartErrors or
// CommanderErrors, never a program that runs with something else than was asked for.
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type CorsPolicy, parseCorsPolicy } from './http/cors.ts';
import { StartError } from './process/startError.ts';

export interface CommandLine {
  appDirectory: string;
  port: number;
  mayUseNextPort: boolean;
  dataDirectory: string;
  /** Serve TLS, with a certificate of the data directory. */
  usesTls: boolean;
  isJson: boolean;
  isStrict: boolean;
  asksForKeys: boolean;
  /** Undefined leaves it to the app's settings file. */
  cors: CorsPolicy | undefined;
  /** Port of the Node inspector; undefined opens none. */
  inspectorPort: number | undefined;
  /** Start again when the app changes; with the command that keeps it built, if one is given. */
  watch: { buildCommand: string | undefined } | undefined;
}

interface Options {
  app: string;
  port: number;
  portFallback?: true;
  dataDir: string;
  https?: true;
  json?: true;
  strict?: true;
  enableAuth?: true;
  cors?: string;
  corsCredentials?: true;
  inspect?: true | number;
  watch?: true | string;
  watched?: true;
}

const defaultInspectorPort = 9229;

/** Tells a host that its parent watches the app: the parent's own arguments are passed on before it. */
export const watchedFlag = '--watched';

/** Throws CommanderError (after it has printed why, or the help) and StartError. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const options = toCommand().parse(argv).opts<Options>();
  const { cors, corsCredentials, inspect, watch } = options;
  if (corsCredentials === true && cors === undefined)
    throw new StartError('--cors-credentials needs --cors with the origins that may send them.');
  return {
    appDirectory: resolve(options.app),
    port: options.port,
    mayUseNextPort: options.portFallback === true,
    dataDirectory: resolve(options.dataDir),
    usesTls: options.https === true,
    isJson: options.json === true,
    isStrict: options.strict === true,
    asksForKeys: options.enableAuth === true,
    cors: parseCorsPolicy(cors ?? '', corsCredentials === true, '--cors'),
    inspectorPort: inspect === true ? defaultInspectorPort : inspect,
    watch:
      watch === undefined || options.watched === true
        ? undefined
        : { buildCommand: watch === true ? undefined : watch },
  };
}

function toCommand(): Command {
  return new Command('local-host')
    .description('Runs a built Azure Functions app on this machine, with its own storage emulator.')
    .requiredOption('--app <folder>', 'folder of the app (with host.json and package.json)')
    .option('--port <number>', 'port of 127.0.0.1; 0 chooses a free one', parsePort, 7071)
    .option('--port-fallback', 'take the next free port when that one is in use')
    .option('--data-dir <folder>', 'where data, ports and keys are kept', '.lifeboat')
    .option('--https', 'serve TLS, with a certificate made for this data directory')
    .option('--json', 'log JSON lines')
    .option(
      '--strict',
      'replay each orchestration episode twice and fail the ones that are not deterministic',
    )
    .option('--enable-auth', 'ask for function, host and system keys as Azure does')
    .option('--cors <origins>', 'origins that browsers may call from, separated by commas, or *')
    .option('--cors-credentials', 'let these origins send cookies and authorization')
    .option('--inspect [port]', `open the Node inspector on 127.0.0.1 (${defaultInspectorPort})`, parsePort)
    .option(
      '--watch [command]',
      'start again when the built app changes; the command, if given, runs beside the host and builds it',
    )
    .addOption(new Option(watchedFlag).hideHelp())
    .allowExcessArguments(false)
    .exitOverride();
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 0 to 65535.');
}

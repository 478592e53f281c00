// The command `lifeboat`: connects the process (arguments, streams, signals, exit code) to `run`. cli/start.ts starts it.
import { exitCodes } from './exitCodes.ts';
import { useEnvironmentProxy } from './proxy.ts';
import { run } from './run.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second one means: now. What a command leaves behind is no worse than after kill -9.
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort();
  });
}
// Who reads our output may stop reading (`| head`): that is no failure of ours, and makes no failure a success.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return;
  process.stderr.write(`lifeboat: the output cannot be written: ${error.message}\n`);
  process.exit(exitCodes.failed);
});

async function main(): Promise<void> {
  await useEnvironmentProxy(process.env);
  process.exitCode = await run(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    signal: interrupt.signal,
  });
}
void main();

// Entry point of the Azurite process. It lives in a session of its own, so that a Ctrl-C or a kill of the host
// does not hit it, and it ends when the host's IPC channel closes: whatever happens to the host, the data that
// was acknowledged is saved first.
import { BlobChanges } from './blobChanges.ts';
import { type AzuriteServers, startAzuriteServers } from './azuriteServers.ts';
import type { AzuriteMessage, HostMessage } from './messages.ts';

let servers: AzuriteServers | undefined;
let changes: BlobChanges | undefined;
let starting: Promise<void> | undefined;
let stopping = false;

function send(message: AzuriteMessage): void {
  // The channel may close at any moment; `disconnect` below is what reacts to that.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

async function start(message: Extract<HostMessage, { type: 'start' }>): Promise<void> {
  try {
    servers = await startAzuriteServers(message.directory, message.ports);
    changes = new BlobChanges(servers.blobHttpServer, (blobs) => send({ type: 'changed', blobs }));
    send({ type: 'ready', ports: servers.ports });
  } catch (error) {
    send({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
    await stop(1);
  }
}

async function stop(exitCode: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  let code = exitCode;
  try {
    if (exitCode === 0) await starting;
    await servers?.close();
  } catch (error) {
    console.error('Azurite did not close cleanly:', error);
    code = 1;
  }
  process.exit(code);
}

/** Its log may be what cannot be written, so the host is told as well. Nothing is saved: memory may be half-changed. */
function crash(error: Error): void {
  console.error('Azurite failed:', error);
  if (!process.connected) process.exit(1);
  const message: AzuriteMessage = { type: 'failed', reason: error.message };
  process.send?.(message, undefined, undefined, () => process.exit(1));
}

process.on('uncaughtException', crash);
process.on('message', (message: HostMessage) => {
  if (message.type === 'start') starting = start(message);
  else if (message.type === 'watch') changes?.watch(message.containers);
  else void stop(0);
});
process.on('disconnect', () => void stop(0));
process.on('SIGTERM', () => void stop(0));
process.on('SIGINT', () => void stop(0));

// Runs the three Azurite services inside this process, on disk.
// Azurite syncs data before it answers but keeps its metadata in memory and saves it every 5 s; here it is saved
// every second when something changed (less often when a save is slow), and once more on close.
import { mkdir } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { azurite } from './azuriteClasses.ts';
import { portToAskFor } from './freePort.ts';
import type { AzuritePorts } from './messages.ts';

/** The part of LokiJS, Azurite's metadata store, that this file uses. */
interface LokiDatabase {
  autosaveDirty(): boolean;
  autosaveDisable(): void;
  saveDatabase(done: (error?: unknown) => void): void;
}

interface MetadataStore {
  db: LokiDatabase;
}

interface AzuriteServer {
  httpServer: Server;
  metadataStore: MetadataStore;
  extentMetadataStore?: MetadataStore;
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface AzuriteServers {
  ports: AzuritePorts;
  /** The blob service's HTTP server, for those who watch its requests. */
  blobHttpServer: Server;
  /** Lets running requests finish (bounded), saves everything and stops. Call once. */
  close(): Promise<void>;
}

/** Below the SDK's idle time a reused connection could be closed under a request; above it this cannot happen. */
const keepAliveSeconds = 120;
const saveIntervalMs = 1000;
/** A save may take at most this share of the time. */
const saveShare = 0.1;
const requestDrainMs = 2000;

/** Starts blob, queue and table; wanted ports that are taken are replaced by free ones. */
export async function startAzuriteServers(
  directory: string,
  wanted: Partial<AzuritePorts>,
): Promise<AzuriteServers> {
  await mkdir(directory, { recursive: true });
  const blob = await startServer('blob', directory, wanted.blob);
  const queue = await startServer('queue', directory, wanted.queue);
  const table = await startServer('table', directory, wanted.table);
  const servers = [blob, queue, table];
  const requests = servers.map((server) => countRequests(server.httpServer));
  const savers = servers.flatMap((server) =>
    [server.metadataStore, server.extentMetadataStore].flatMap((store) =>
      store === undefined ? [] : [saveOften(store.db)],
    ),
  );
  const close = async (): Promise<void> => {
    for (const server of servers) server.httpServer.close();
    const deadline = Date.now() + requestDrainMs;
    while (requests.some((count) => count() > 0) && Date.now() < deadline) await sleep(10);
    await Promise.all(savers.map((stopSaving) => stopSaving()));
    for (const server of servers) await server.close();
  };
  const ports = { blob: portOf(blob), queue: portOf(queue), table: portOf(table) };
  return { ports, blobHttpServer: blob.httpServer, close };
}

const portOf = ({ httpServer }: AzuriteServer): number => (httpServer.address() as AddressInfo).port;

async function startServer(
  service: keyof AzuritePorts,
  directory: string,
  wantedPort: number | undefined,
): Promise<AzuriteServer> {
  const { Configuration, Service } = azurite[service];
  const file = (name: string): string => join(directory, name);
  const port = await portToAskFor(wantedPort);
  // host, port, keep-alive, database … loose, skipApiVersionCheck: the newest SDKs speak versions Azurite has not heard of.
  const start = ['127.0.0.1', port, keepAliveSeconds, file(`${service}.json`)];
  const end = [undefined, false, true];
  const extents = [{ locationId: 'Default', locationPath: file(`${service}Extents`), maxConcurrency: 50 }];
  const logging = [false, undefined, false];
  const server = new Service(
    service === 'table'
      ? new Configuration(...start, false, false, undefined, ...end)
      : new Configuration(...start, file(`${service}Extents.json`), extents, ...logging, ...end),
  ) as AzuriteServer;
  await server.start();
  return server;
}

function countRequests(server: Server): () => number {
  let running = 0;
  server.on('request', (_request, response) => {
    running++;
    response.once('close', () => running--);
  });
  return () => running;
}

/**
 * Replaces the database's own 5 s autosave; returns what stops it, which waits for a running save: its changes
 * count as saved already, so closing the database would not write them again. A save writes the whole file,
 * so a slow one is repeated less often.
 */
function saveOften(db: LokiDatabase): () => Promise<void> {
  db.autosaveDisable();
  let timer: NodeJS.Timeout | undefined;
  let saving: Promise<void> | undefined;
  const schedule = (delayMs: number): void => {
    timer = setTimeout(() => void tick(), delayMs);
  };
  const tick = async (): Promise<void> => {
    const startedAt = performance.now();
    if (db.autosaveDirty()) await (saving = save(db));
    // Undefined: it was stopped while it saved.
    if (timer !== undefined) schedule(Math.max(saveIntervalMs, (performance.now() - startedAt) / saveShare));
  };
  schedule(saveIntervalMs);
  return async () => {
    clearTimeout(timer);
    timer = undefined;
    await saving;
  };
}

/** Failures are logged and tried again with the next change. */
async function save(db: LokiDatabase): Promise<void> {
  await new Promise<void>((resolve) => {
    db.saveDatabase((error) => {
      if (error !== undefined && error !== null) console.error('Azurite cannot save its metadata:', error);
      resolve();
    });
  });
}

// QCOW2 through QEMU's own reader: a qemu-nbd of our own that serves the image read-only on a socket in a folder of its
// own. It ends when the connection ends, also when this process is killed.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { isLifeboatError, LifeboatError } from '../../lib/errors.ts';
import { serverText } from '../nbd/errors.ts';
import { BrokenChainError, imageCorrupt, imageUnsupported } from './errors.ts';
import type { ImageFile } from './imageFile.ts';
import { NbdDisk } from './nbdDisk.ts';
import type { DiskChainLink, DiskReader } from './reader.ts';

const maxErrorTextBytes = 4096;
const maxInfoBytes = 4 * 1024 * 1024;
const startPatienceMs = 10_000;
const deathPatienceMs = 1000;
const exportName = 'disk';

/** A program of QEMU that was started. */
interface Started {
  child: ChildProcess;
  /** What it said on standard error, the last of it. */
  errorText: () => string;
  /** Resolves when it has ended, to a sentence about how; never rejects. */
  ended: Promise<string>;
}

function start(file: string, args: readonly string[]): Started {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = Buffer.alloc(0);
  child.stderr.on('data', (bytes: Buffer) => {
    text = Buffer.concat([text, bytes]).subarray(-maxErrorTextBytes);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(`${file} ended (${signal ?? `exit code ${code}`})`));
  });
  return { child, errorText: () => serverText(text), ended };
}

/** What qemu-img tells of each image of a chain. */
const infoSchema = z.array(
  z.object({
    filename: z.string(),
    format: z.string(),
    'virtual-size': z.number(),
    'format-specific': z.object({ data: z.object({ corrupt: z.boolean().optional() }) }).optional(),
  }),
);

function openFailure(imagePath: string, text: string): Error {
  if (/ENOENT/.test(text))
    return imageUnsupported(imagePath, 'QCOW2 needs qemu-img and qemu-nbd (package qemu-utils) in the PATH');
  const unopened = /Could not open '([^']*)'/.exec(text)?.[1];
  if (unopened !== undefined && unopened !== imagePath)
    return new BrokenChainError(imagePath, 'parent missing', text);
  if (/lock/i.test(text))
    return new LifeboatError(
      'SourceUnavailable',
      `${imagePath}: a running machine has it open; track it live, or read it while the machine is off (${text})`,
      { target: imagePath },
    );
  return imageCorrupt(imagePath, text);
}

async function readChain(file: ImageFile): Promise<{ chain: DiskChainLink[]; stateId: string }> {
  const args = ['info', '--output=json', '--backing-chain', '-f', 'qcow2', file.path];
  const program = start('qemu-img', args);
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  program.child.stdout?.on('data', (bytes: Buffer) => {
    sizeBytes += bytes.length;
    if (sizeBytes <= maxInfoBytes) chunks.push(bytes);
  });
  const ended = await program.ended;
  if (program.child.exitCode !== 0) throw openFailure(file.path, program.errorText() || ended);
  const images = infoSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
  const hash = createHash('sha256');
  const chain: DiskChainLink[] = [];
  for (const { filename, format, 'format-specific': specific } of images) {
    if (specific?.data.corrupt === true) throw imageCorrupt(filename, 'is marked as corrupt');
    const stats = await stat(filename, { bigint: true }).catch(() => undefined);
    hash.update(`${format} ${filename.length}:${path.basename(filename)} ${stats?.size} ${stats?.mtimeNs};`);
    chain.push({ location: filename, variant: format, imageId: undefined });
  }
  return { chain, stateId: hash.digest('hex').slice(0, 32) };
}

/** Connects as soon as the server listens, and gives up when it ended. */
async function connect(
  server: Started,
  imagePath: string,
  options: Parameters<typeof NbdDisk.open>[0],
): Promise<NbdDisk> {
  let ended: string | undefined;
  void server.ended.then((how) => (ended = how));
  for (const deadline = Date.now() + startPatienceMs; ;) {
    try {
      return await NbdDisk.open(options);
    } catch (error) {
      if (ended !== undefined) throw openFailure(imagePath, server.errorText() || ended);
      if (!isLifeboatError(error, 'SourceUnavailable') || Date.now() > deadline) throw error;
    }
    await sleep(20);
  }
}

/** Opens a QCOW2 with its backing files. The file is closed: qemu-nbd reads it. */
export async function openQcow2(file: ImageFile): Promise<DiskReader> {
  const imagePath = file.path;
  const { chain, stateId } = await readChain(file);
  const folder = await mkdtemp(path.join(tmpdir(), 'lifeboat-nbd-'));
  const socketPath = path.join(folder, 's');
  const server = start('qemu-nbd', [
    '--read-only',
    '--format=qcow2',
    '--shared=8',
    `--export-name=${exportName}`,
    `--socket=${socketPath}`,
    imagePath,
  ]);
  const stop = async (): Promise<void> => {
    server.child.kill('SIGTERM');
    await server.ended;
    await rm(folder, { recursive: true, force: true });
  };
  /** A connection that broke because the server died says so, with the server's last words. */
  const explain = async (error: unknown): Promise<unknown> => {
    if (!isLifeboatError(error, 'SourceUnavailable')) return error;
    // The socket closes a moment before the end of the process is known.
    const how = await Promise.race([server.ended, sleep(deathPatienceMs, undefined, { ref: false })]);
    if (how === undefined) return error;
    const message = [`${imagePath}: ${how}`, server.errorText()].filter((part) => part !== '').join(': ');
    return new LifeboatError('SourceUnavailable', message, { target: imagePath, cause: error });
  };
  try {
    const disk = await connect(server, imagePath, {
      socket: { path: socketPath },
      exportName,
      location: imagePath,
      format: 'qcow2',
      chain,
      stateId,
      explain,
      onClose: stop,
    });
    await file.close();
    return disk;
  } catch (error) {
    await stop();
    throw error;
  }
}

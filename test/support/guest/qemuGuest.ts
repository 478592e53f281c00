// Runs a guest in QEMU without hardware help, with a monitor of our own.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilListening } from '../listening.ts';

export interface GuestOptions {
  /** Where sockets and the serial log go; short, because of the sockets. */
  folder: string;
  /** Images; the first one boots. They hang on virtio with ids vd0, vd1, … over nodes disk0, disk1, …. */
  disks: readonly { path: string; format: 'raw' | 'qcow2' | 'vpc'; isSnapshot?: boolean }[];
}

/** A running QEMU. */
export class Guest {
  readonly qmpSocketPath: string;
  readonly #process: ChildProcess;
  readonly #serialPath: string;
  readonly #ended: Promise<void>;
  #errorText = '';

  private constructor(folder: string, process: ChildProcess) {
    this.qmpSocketPath = join(folder, 'qmp');
    this.#serialPath = join(folder, 'serial');
    this.#process = process;
    process.stderr?.on('data', (bytes: Buffer) => (this.#errorText += bytes.toString()));
    this.#ended = new Promise((resolve) => process.once('close', () => resolve()));
  }

  static async start({ folder, disks }: GuestOptions): Promise<Guest> {
    const args = [
      '-M',
      'pc',
      '-accel',
      'tcg',
      '-m',
      '32',
      '-display',
      'none',
      '-monitor',
      'none',
      '-nic',
      'none',
    ];
    args.push('-no-reboot', '-boot', 'strict=on', '-serial', `file:${join(folder, 'serial')}`);
    args.push('-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`);
    disks.forEach(({ path, format, isSnapshot = false }, index) => {
      const file = { driver: 'file', 'node-name': `file${index}`, filename: path, discard: 'unmap' };
      const access = isSnapshot ? { 'read-only': true } : {};
      args.push('-blockdev', JSON.stringify({ ...file, ...access }));
      const node = { driver: format, 'node-name': `disk${index}`, file: `file${index}` };
      args.push('-blockdev', JSON.stringify({ ...node, ...access }));
      args.push('-device', `virtio-blk-pci,drive=disk${index},id=vd${index},bootindex=${index + 1}`);
    });
    const process = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const guest = new Guest(folder, process);
    await untilListening(process, { path: guest.qmpSocketPath });
    return guest;
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** What the guest and its firmware printed so far. */
  async readSerial(): Promise<string> {
    return readFile(this.#serialPath, 'latin1').catch(() => '');
  }

  /** Waits until the guest has printed something that matches. */
  async waitForSerial(pattern: RegExp): Promise<string> {
    for (;;) {
      const hasEnded = this.hasEnded;
      const text = await this.readSerial();
      if (pattern.test(text)) return text;
      if (hasEnded) throw new Error(`the guest ended without ${String(pattern)}: ${text} ${this.#errorText}`);
      await sleep(30);
    }
  }

  waitUntilEnded(): Promise<void> {
    return this.#ended;
  }

  /** Ends QEMU at once. May be called twice. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}

// A compute provider in memory: machines that work on the recovered blobs themselves and show what is on their disk. Every
// operation takes a second look before it is done, as the slow ones of a real provider do.
import { LifeboatError } from '../../lib/errors.ts';
import { machineName } from '../../lib/compute/machineNames.ts';
import { computeDone } from '../../lib/compute/port.ts';
import type { ComputeProgress, ComputeProvider, MachineOrder } from '../../lib/compute/port.ts';
import { requireDisks } from '../../lib/compute/vhd/provider.ts';
import type { Storage } from '../../lib/storage/ports.ts';

interface Machine {
  order: MachineOrder;
  isRunning: boolean;
}

const notYet = (waitingFor: string): ComputeProgress => ({ isDone: false, waitingFor, retryAfterSeconds: 1 });

export class MemoryCompute implements ComputeProvider {
  readonly kind = 'qemu';
  readonly runsMachines = true;
  /** By job. */
  readonly machines = new Map<string, Machine>();
  /** Calls of a method that fail, by its name. */
  readonly failures: { method: string; error: LifeboatError }[] = [];
  /** What a guest shows besides; undefined = it hangs. */
  console: (order: MachineOrder) => Promise<string | undefined>;
  readonly #storage: Pick<Storage, 'recovered'>;
  readonly #looked = new Set<string>();

  constructor(storage: Pick<Storage, 'recovered'>) {
    this.#storage = storage;
    this.console = async (order) => {
      const range = { offsetBytes: 512, lengthBytes: 512 };
      const bytes = await storage.recovered.read(order.disks[0]!.blobName, range);
      return Buffer.from(bytes).toString('latin1').split('\0')[0] ?? '';
    };
  }

  /** The first look at something is never enough. */
  #look(key: string): boolean {
    if (this.#looked.delete(key)) return true;
    this.#looked.add(key);
    return false;
  }

  #mayFail(method: string): void {
    const index = this.failures.findIndex((each) => each.method === method);
    if (index >= 0) throw this.failures.splice(index, 1)[0]!.error;
  }

  async prepareDisks(order: MachineOrder): Promise<ComputeProgress> {
    this.#mayFail('prepareDisks');
    await requireDisks(this.#storage, order);
    return computeDone;
  }

  async createMachine(order: MachineOrder): Promise<ComputeProgress> {
    this.#mayFail('createMachine');
    if (this.machines.has(order.jobId)) return computeDone;
    const name = machineName(order);
    for (const { order: other } of this.machines.values())
      if (machineName(other) === name)
        throw new LifeboatError('TargetNameTaken', `There is a machine "${name}".`);
    if (!this.#look(`create ${order.jobId}`)) return notYet('the machine');
    this.machines.set(order.jobId, { order, isRunning: true });
    return computeDone;
  }

  async powerState({ jobId }: MachineOrder) {
    const machine = this.machines.get(jobId);
    return machine === undefined ? 'absent' : machine.isRunning ? 'running' : 'stopped';
  }

  async startMachine({ jobId }: MachineOrder): Promise<ComputeProgress> {
    const machine = this.machines.get(jobId);
    if (machine) machine.isRunning = true;
    return computeDone;
  }

  async stopMachine({ jobId }: MachineOrder): Promise<ComputeProgress> {
    this.#mayFail('stopMachine');
    const machine = this.machines.get(jobId);
    if (!machine?.isRunning) return computeDone;
    if (!this.#look(`stop ${jobId}`)) return notYet('the guest to shut down');
    machine.isRunning = false;
    return computeDone;
  }

  captureDisks = async (): Promise<ComputeProgress> => computeDone;

  async observeBoot(order: MachineOrder, marker: string | null) {
    const text = await this.console(order);
    const isBooted = text !== undefined && (marker === null || text.includes(marker));
    return {
      verdict: isBooted ? ('booted' as const) : ('pending' as const),
      evidenceLine: isBooted ? text : null,
      ...{ consoleText: text ?? '', screenshot: null },
    };
  }

  async deleteAll({ jobId }: { jobId: string }): Promise<ComputeProgress> {
    this.#mayFail('deleteAll');
    if (!this.machines.has(jobId)) return computeDone;
    if (!this.#look(`delete ${jobId}`)) return notYet('the machine to go');
    this.machines.delete(jobId);
    return computeDone;
  }

  async *listLeftovers() {
    for (const { order } of this.machines.values())
      yield { item: order.item, jobId: order.jobId, what: `machine ${machineName(order)}` };
  }
}

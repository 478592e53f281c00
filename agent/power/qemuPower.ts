// The power switch of a QEMU machine, through the monitor that its tracker uses too. QEMU is told to stay when the guest shuts
// down: what it tracked, and the disks at rest, can still be read for the last cycle.
import * as z from 'zod';
import { QmpClient } from '../qmp/client.ts';
import { isListening } from '../qmp/listening.ts';
import type { MachinePower } from './machinePower.ts';

const statusAnswer = z.object({ status: z.string() });

/**
 * The monitor serves one client at a time: close the tracker before any call. Nobody listening at its socket means that QEMU
 * has ended, and the machine with it. Throws as QmpClient does, and `SourceUnavailable` when that cannot be told.
 */
export function qemuPower({
  qmpSocketPath: socketPath,
  timeoutSeconds,
}: {
  qmpSocketPath: string;
  timeoutSeconds: number;
}): MachinePower {
  return {
    timeoutSeconds,
    async isRunning() {
      if (!(await isListening(socketPath))) return false;
      await using qmp = await QmpClient.connect({ socketPath });
      return statusAnswer.parse(await qmp.execute('query-status')).status !== 'shutdown';
    },
    async shutDown() {
      await using qmp = await QmpClient.connect({ socketPath });
      await qmp.execute('set-action', { shutdown: 'pause' });
      await qmp.execute('system_powerdown');
    },
    async letGo() {
      if (!(await isListening(socketPath))) return;
      await using qmp = await QmpClient.connect({ socketPath });
      // It hangs up instead of answering, sometimes.
      await qmp.execute('quit').catch(() => undefined);
    },
  };
}

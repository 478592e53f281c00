// The power switch of a QEMU machine, through the monitor that its tracker uses too. QEMU is told to stay when the guest shuts
// down: what it tracked, and the disks at rest, can still be read for the last cycle.
import net from 'node:net';
import * as z from 'zod';
import { QmpClient } from '../qmp/client.ts';
import type { MachinePower } from './machinePower.ts';

const statusAnswer = z.object({ status: z.string() });

/** Nobody listens: QEMU has ended, and the machine with it. */
function hasEnded(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: socketPath });
    const end = (result: boolean) => (): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', end(false)).once('error', end(true));
  });
}

/** The monitor serves one client at a time: close the tracker before any call. Throws as QmpClient does. */
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
      if (await hasEnded(socketPath)) return false;
      await using qmp = await QmpClient.connect({ socketPath });
      return statusAnswer.parse(await qmp.execute('query-status')).status !== 'shutdown';
    },
    async shutDown() {
      await using qmp = await QmpClient.connect({ socketPath });
      await qmp.execute('set-action', { shutdown: 'pause' });
      await qmp.execute('system_powerdown');
    },
    async letGo() {
      if (await hasEnded(socketPath)) return;
      await using qmp = await QmpClient.connect({ socketPath });
      // It hangs up instead of answering, sometimes.
      await qmp.execute('quit').catch(() => undefined);
    },
  };
}

// QEMU's monitor protocol (QMP), as far as a provider needs it: one connection, one command, goodbye.
import { createConnection } from 'node:net';

const answerMs = 5_000;

interface MonitorReply {
  return?: unknown;
  error?: { desc?: string };
}

/**
 * Sends one command and returns its result. Undefined when no QEMU listens there (any more). Throws an Error with QEMU's
 * words when it refuses, or when it does not answer within 5 s.
 */
export async function monitorCommand(
  socketPath: string,
  execute: string,
  commandArguments?: object,
): Promise<unknown> {
  const commands = [
    { execute: 'qmp_capabilities' },
    { execute, ...(commandArguments && { arguments: commandArguments }) },
  ];
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    let [text, replies] = ['', 0];
    const end = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(answerMs, () =>
      end(() => reject(new Error(`QEMU did not answer "${execute}" within ${answerMs / 1000} s`))),
    );
    socket.on('error', () => end(() => resolve(undefined)));
    // `quit` may close the connection before its reply arrives.
    socket.on('close', () => end(() => resolve(undefined)));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
        const line = text.slice(0, at);
        text = text.slice(at + 1);
        const message = JSON.parse(line) as MonitorReply & { QMP?: object };
        if (message.error) {
          const { desc = 'no reason' } = message.error;
          end(() => reject(new Error(`QEMU refused "${execute}": ${desc}`)));
          return;
        }
        if (message.return !== undefined && ++replies === commands.length) {
          end(() => resolve(message.return));
          return;
        }
        const next =
          message.QMP === undefined && message.return === undefined ? undefined : commands[replies];
        if (next) socket.write(`${JSON.stringify(next)}\n`);
      }
    });
  });
}

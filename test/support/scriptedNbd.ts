// An NBD server that does what a test tells it, wrong things above all.
import net from 'node:net';

export interface NbdRequest {
  type: number;
  cookie: bigint;
  offset: bigint;
  length: number;
}

export interface NbdScript {
  /** The first bytes; a right greeting when omitted. */
  hello?: Buffer;
  /** The answer to an option; undefined: the right one. */
  onOption?: (option: number, data: Buffer) => Buffer | undefined;
  /** The answer to a request; undefined: none. */
  onRequest?: (request: NbdRequest) => Buffer | undefined;
  sizeBytes?: number;
}

export const uint16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};
export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
export const uint64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};

/** A reply to an option. */
export const optionReply = (
  option: number,
  type: number,
  body: Buffer = Buffer.alloc(0),
  length = body.length,
): Buffer => Buffer.concat([uint64(0x0003e889045565a9n), uint32(option), uint32(type), uint32(length), body]);

/** A chunk of a structured reply; flags 1 = the last one. */
export const chunk = (
  { cookie }: { cookie: bigint },
  type: number,
  body: Buffer = Buffer.alloc(0),
  options: { isLast?: boolean; length?: number } = {},
): Buffer =>
  Buffer.concat([
    uint32(0x668e33ef),
    uint16(options.isLast === false ? 0 : 1),
    uint16(type),
    uint64(cookie),
    uint32(options.length ?? body.length),
    body,
  ]);

const rightHello = Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), uint16(3)]);

function rightOption(option: number, data: Buffer, sizeBytes: number): Buffer {
  if (option === 8) return optionReply(8, 1);
  if (option === 10) {
    // The export's name, then a count of contexts, each with its length.
    let at = 4 + data.readUInt32BE(0) + 4;
    const replies: Buffer[] = [];
    for (let id = 1; at < data.length; id++) {
      const length = data.readUInt32BE(at);
      replies.push(optionReply(10, 4, Buffer.concat([uint32(id), data.subarray(at + 4, at + 4 + length)])));
      at += 4 + length;
    }
    return Buffer.concat([...replies, optionReply(10, 1)]);
  }
  const info = Buffer.concat([uint16(0), uint64(sizeBytes), uint16(3)]);
  return Buffer.concat([optionReply(7, 3, info), optionReply(7, 1)]);
}

/** Takes whole messages out of the bytes of a client. */
function converse(socket: net.Socket, script: NbdScript): void {
  let bytes = Buffer.alloc(0);
  let phase: 'flags' | 'options' | 'requests' = 'flags';
  const send = (answer: Buffer | undefined): void => {
    if (answer) socket.write(answer);
  };
  const step = (): boolean => {
    if (phase === 'flags' && bytes.length >= 4) {
      bytes = bytes.subarray(4);
      phase = 'options';
      return true;
    }
    if (phase === 'options' && bytes.length >= 16 && bytes.length >= 16 + bytes.readUInt32BE(12)) {
      const option = bytes.readUInt32BE(8);
      const data = bytes.subarray(16, 16 + bytes.readUInt32BE(12));
      bytes = bytes.subarray(16 + data.length);
      send(script.onOption?.(option, data) ?? rightOption(option, data, script.sizeBytes ?? 1024 * 1024));
      if (option === 7) phase = 'requests';
      return true;
    }
    if (phase === 'requests' && bytes.length >= 28) {
      const type = bytes.readUInt16BE(6);
      if (type === 2) socket.end();
      else
        send(
          script.onRequest?.({
            type,
            cookie: bytes.readBigUInt64BE(8),
            offset: bytes.readBigUInt64BE(16),
            length: bytes.readUInt32BE(24),
          }),
        );
      bytes = bytes.subarray(28);
      return true;
    }
    return false;
  };
  socket.on('error', () => undefined);
  socket.on('data', (received) => {
    bytes = Buffer.concat([bytes, received]);
    while (step());
  });
  socket.write(script.hello ?? rightHello);
}

/** Listens on the loopback; `close` ends all connections. */
export async function startScriptedNbd(script: NbdScript): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    converse(socket, script);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  return {
    port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

// A storage service that misbehaves on demand: answers requests on loopback by script and keeps what it received.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface ReceivedRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

/** One step of the script; undefined leaves the request without an answer. */
export type Answer = (response: ServerResponse, request: ReceivedRequest) => void;

export interface ScriptedService {
  /** With a SAS, whose signature must then appear nowhere. */
  connectionString: string;
  received: ReceivedRequest[];
  /** Answers for the next requests, in order; the last one repeats. */
  script(...answers: Answer[]): void;
  stop(): Promise<void>;
}

/** An answer with this status and, as the service does, the code in a header. */
export const answer =
  (status: number, code?: string, headers: Record<string, string> = {}, body?: string | Uint8Array): Answer =>
  (response) => {
    response.writeHead(status, { ...(code === undefined ? {} : { 'x-ms-error-code': code }), ...headers });
    response.end(body);
  };
export const reset: Answer = (response) => response.destroy();
export const silence: Answer = () => undefined;

export async function startScriptedService(): Promise<ScriptedService> {
  let answers: Answer[] = [];
  const received: ReceivedRequest[] = [];
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const next = answers.length > 1 ? answers.shift() : answers[0];
      const arrived = { method: request.method ?? '', url: request.url ?? '', headers: request.headers };
      received.push(arrived);
      (next ?? answer(501))(response, arrived);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
  return {
    connectionString: `BlobEndpoint=${origin};TableEndpoint=${origin};SharedAccessSignature=sv=2025-11-05&sp=rw&sig=SECRET%2Fsignature`,
    received,
    script(...next) {
      answers = next;
      received.length = 0;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Calls what people have written into recovery plans: webhooks and probes. A name is resolved once; every address that it has is
// checked, and the connection is made to one of those, so that a name cannot point elsewhere between the check and the call.
import { lookup } from 'node:dns/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, isIP } from 'node:net';
import type { OutboundAnswer, OutboundPort, OutboundRequest } from '../lib/plans/outbound.ts';
import { hostOf, refusalOfAddress, refusalOfUrl } from './outboundGuard.ts';
import type { AllowedHosts } from './outboundGuard.ts';

const answerLimitChars = 1024;

type Resolve = (host: string) => Promise<{ address: string }[]>;

const resolveName: Resolve = (host) => lookup(host, { all: true });

const reasonOf = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? String(error);
};

/** An address of the host that may be called, or what to answer instead. */
async function addressOf(
  allowed: AllowedHosts,
  url: URL,
  resolve: Resolve,
): Promise<string | OutboundAnswer> {
  const host = hostOf(url);
  const about = { protocol: url.protocol, host };
  try {
    const found = isIP(host) === 0 ? (await resolve(host)).map(({ address }) => address) : [host];
    // One bad address spoils the name: which one a connection takes is not ours to say.
    const reason = found.map((address) => refusalOfAddress(allowed, about, address)).find(Boolean);
    if (reason !== undefined) return { kind: 'refused', reason };
    return found[0] ?? { kind: 'unreachable', reason: `${host} has no address.` };
  } catch (error) {
    return { kind: 'unreachable', reason: `${host} was not found (${reasonOf(error)}).` };
  }
}

async function readStart(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) {
    text += String(part);
    if (text.length >= answerLimitChars) break;
  }
  response.destroy();
  // What others wrote goes into a job: one line, nothing that a terminal obeys.
  return text
    .slice(0, answerLimitChars)
    .replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .trim();
}

function callHttp(url: URL, address: string, about: OutboundRequest): Promise<OutboundAnswer> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const family = isIP(address);
  const options: RequestOptions = {
    method: about.method,
    headers: { ...about.headers, ...(about.body ? { 'content-length': Buffer.byteLength(about.body) } : {}) },
    signal: AbortSignal.timeout(about.timeoutSeconds * 1000),
    // The checked address and no other; the name stays in Host and in the certificate's check.
    lookup: (_host, options, done) => {
      if (options.all) done(null, [{ address, family }]);
      else done(null, address, family);
    },
    agent: false,
  };
  return new Promise((settle) => {
    const failed = (error: unknown): void => {
      const isTimeout = (error as { name?: string }).name === 'AbortError';
      const reason = isTimeout ? `no answer within ${about.timeoutSeconds} s.` : reasonOf(error);
      settle({ kind: 'unreachable', reason });
    };
    const outgoing = send(url, options, (response) => {
      readStart(response).then(
        (text) => settle({ kind: 'answered', status: response.statusCode ?? 0, text }),
        failed,
      );
    });
    outgoing.on('error', failed);
    outgoing.end(about.body);
  });
}

function connectOnly(url: URL, address: string, timeoutSeconds: number): Promise<OutboundAnswer> {
  return new Promise((settle) => {
    const socket = connect({ host: address, port: Number(url.port), timeout: timeoutSeconds * 1000 });
    const end = (answer: OutboundAnswer): void => {
      socket.destroy();
      settle(answer);
    };
    socket.on('connect', () => end({ kind: 'connected' }));
    socket.on('timeout', () => end({ kind: 'unreachable', reason: `no answer within ${timeoutSeconds} s.` }));
    socket.on('error', (error) => end({ kind: 'unreachable', reason: reasonOf(error) }));
  });
}

/** `resolve` stands for DNS. */
export function guardedOutbound(allowed: AllowedHosts, resolve: Resolve = resolveName): OutboundPort {
  return {
    refusalOf: (url) => refusalOfUrl(allowed, url),
    async call(about) {
      const reason = refusalOfUrl(allowed, about.url);
      if (reason !== undefined) return { kind: 'refused', reason };
      const url = new URL(about.url);
      const address = await addressOf(allowed, url, resolve);
      if (typeof address !== 'string') return address;
      if (url.protocol === 'tcp:') return connectOnly(url, address, about.timeoutSeconds);
      return callHttp(url, address, about);
    },
  };
}

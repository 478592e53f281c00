// A service whose certificate the source host does not trust: the person is told what to trust, not to look at the network.
import { once } from 'node:events';
import { createServer } from 'node:https';
import { afterAll, expect, it } from 'vitest';
import * as z from 'zod';
import { ServiceConnection } from '../../../agent/serviceConnection.ts';
import { makeCertificates } from '../../../local/tls/certificates.ts';

const { authority, certificate, privateKey } = makeCertificates(['127.0.0.1'], new Date());
const server = createServer({ cert: certificate + authority, key: privateKey }, (_request, response) =>
  response.end('{}'),
);
afterAll(() => server.close());

it('names the setting that makes Node trust the authority', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const service = new ServiceConnection({ url: `https://127.0.0.1:${port}`, key: 'x', maxTries: 1 });
  await expect(service.request('GET', '/health', z.unknown())).rejects.toMatchObject({
    code: 'ServiceUnreachable',
    recommendedAction: expect.stringContaining('NODE_EXTRA_CA_CERTS') as string,
  });
});

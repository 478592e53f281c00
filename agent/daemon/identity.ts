// Who this host is to the service: a key pair of its own, enrolled once with a registration key, and short tokens made with it.
import {
  createPrivateKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { enrolmentProof } from '../../lib/auth/hostKeys.ts';
import { AgentError } from '../agentError.ts';
import { ServiceConnection } from '../serviceConnection.ts';
import { readState, removeFile, writeState } from './stateFiles.ts';

const identityFile = z.strictObject({
  version: z.literal(1),
  serviceUrl: z.string(),
  hostName: z.string(),
  /** Private Ed25519 key. */
  key: z.looseObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), d: z.string() }),
  /** Null until the service has answered: the same key pair is then sent again. */
  hostId: z.string().nullable(),
  tokenUrl: z.string().nullable(),
  site: z.string().nullable(),
});
export type Identity = z.infer<typeof identityFile>;

const pathIn = (stateFolder: string): string => join(stateFolder, 'identity.json');

export const readIdentity = (stateFolder: string): Promise<Identity | undefined> =>
  readState(pathIn(stateFolder), identityFile);

/** Forgets the key pair. Not registered: no change. */
export const removeIdentity = (stateFolder: string): Promise<void> => removeFile(pathIn(stateFolder));

const privateKeyOf = ({ key }: Identity): KeyObject =>
  createPrivateKey({ key: key as JsonWebKey, format: 'jwk' });

const registered = z.object({
  host: z.object({ id: z.string(), name: z.string(), site: z.string() }),
  tokenUrl: z.string(),
});

export interface Registration {
  stateFolder: string;
  serviceUrl: string;
  hostName: string;
  registrationKey: string;
  agentVersion: string;
  signal?: AbortSignal | undefined;
}

/**
 * Enrols this host. May be called again after a lost answer, with the same registration key. Throws AgentError
 * `OperationFailed` when the folder has an identity already, and ServiceError `RegistrationRefused`.
 */
export async function registerHost(registration: Registration): Promise<Identity> {
  const { stateFolder, serviceUrl, hostName, registrationKey, agentVersion, signal } = registration;
  const known = await readIdentity(stateFolder);
  if (known && known.hostId !== null) {
    const message = `This host is registered already, as ${known.hostName} at ${known.serviceUrl}.`;
    throw new AgentError('OperationFailed', message, 'Run lifeboat agent unregister first.');
  }
  const [, subject] =
    /^lbreg_([0-9a-f-]{36})/i.exec(registrationKey) ?? /([0-9a-f-]{36})/i.exec(registrationKey) ?? [];
  if (subject === undefined)
    throw new AgentError(
      'OperationFailed',
      'The text is no registration key.',
      'Copy the whole key; ask for a new one if it is lost.',
    );
  const isSame = known?.serviceUrl === serviceUrl && known.hostName === hostName;
  const key = isSame ? known.key : newKey();
  const draft: Identity = { version: 1, serviceUrl, hostName, key, hostId: null, tokenUrl: null, site: null };
  // Stored first: if the answer is lost, the same key pair asks again.
  await writeState(pathIn(stateFolder), draft);
  const text = enrolmentProof({ purpose: 'enrol', subject, hostName, publicKey: key.x });
  const signature = sign(null, Buffer.from(text), privateKeyOf(draft)).toString('base64url');
  const connection = new ServiceConnection({ url: serviceUrl, key: '', signal });
  const body = { registrationKey, hostName, publicKey: key.x, signature, agentVersion };
  const answer = await connection.request('POST', '/agent/v1/register', registered, body);
  const { host, tokenUrl } = answer.body;
  const identity: Identity = { ...draft, hostId: host.id, site: host.site, tokenUrl };
  await writeState(pathIn(stateFolder), identity);
  return identity;
}

function newKey(): Identity['key'] {
  const { privateKey } = generateKeyPairSync('ed25519');
  return identityFile.shape.key.parse(privateKey.export({ format: 'jwk' }));
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const assertionSeconds = 240;

/** A statement that this host asks for a token now. Good for one use. */
export function signAssertion(identity: Identity, now: Date): string {
  const { hostId, tokenUrl } = identity;
  const iat = Math.floor(now.getTime() / 1000);
  const claims = {
    iss: hostId,
    sub: hostId,
    aud: tokenUrl,
    iat,
    exp: iat + assertionSeconds,
    jti: randomUUID(),
  };
  const text = `${base64url({ alg: 'EdDSA', kid: hostId })}.${base64url(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), privateKeyOf(identity)).toString('base64url')}`;
}

const tokenAnswer = z.object({ accessToken: z.string(), expiresInSeconds: z.number() });
/** A token is renewed when less than this is left of it. */
const renewBeforeMs = 120_000;
/** A host that is refused does not ask again at once. */
const refusedPauseMs = 5000;

/** A key for a ServiceConnection: the current token, renewed in time and after it was refused. */
export function tokenSource(
  identity: Identity,
  signal?: AbortSignal,
): (about: { isRefused: boolean }) => Promise<string> {
  if (identity.hostId === null)
    throw new AgentError(
      'AgentNotRegistered',
      'This host began to register and got no answer.',
      'Run lifeboat agent register again with the same key.',
    );
  const connection = new ServiceConnection({ url: identity.serviceUrl, key: '', signal, maxTries: 2 });
  let current: { token: Promise<string>; untilMs: number; isRenewing: boolean } | undefined;
  const renew = async (): Promise<string> => {
    const assertion = signAssertion(identity, new Date());
    const { body } = await connection.request('POST', '/agent/v1/token', tokenAnswer, { assertion });
    const untilMs = Date.now() + body.expiresInSeconds * 1000 - renewBeforeMs;
    current = { token: Promise.resolve(body.accessToken), untilMs, isRenewing: false };
    return body.accessToken;
  };
  return async ({ isRefused }) => {
    // Whoever asks while one is on its way waits for it; after a refusal the answer stands for a while.
    if (current && Date.now() < current.untilMs && (!isRefused || current.isRenewing)) return current.token;
    const token = renew();
    token.catch(() => undefined);
    current = { token, untilMs: Date.now() + refusedPauseMs, isRenewing: true };
    return token;
  };
}

// How source hosts come to be known and prove themselves: registration keys (for Owners), enrolment, access tokens, new keys.
import * as z from 'zod';
import type { HostCaller } from '../auth/caller.ts';
import { enrolHost, rotateHostKey } from '../auth/enrolment.ts';
import { publicKeyText } from '../auth/hostKeys.ts';
import { findHost, listHosts, revokeHost } from '../auth/hosts.ts';
import type { HostRecord } from '../auth/hosts.ts';
import { hostTokenSeconds, issueHostToken } from '../auth/hostTokens.ts';
import {
  createRegistrationKey,
  listRegistrationKeys,
  revokeRegistrationKey,
} from '../auth/registrationKeys.ts';
import type { RegistrationKey } from '../auth/registrationKeys.ts';
import { LifeboatError } from '../errors.ts';
import { getFabric } from './fabrics.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';

const hostName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, 'must be the host name, such as hv1.contoso.local');
const publicKey = z
  .string()
  .regex(publicKeyText, 'must be a raw Ed25519 public key of 32 bytes as base64url');
const signature = z
  .string()
  .regex(/^[A-Za-z0-9_-]{86}$/, 'must be an Ed25519 signature of 64 bytes as base64url');

/** Where a host asks for tokens: also the audience of its assertions. */
const tokenPath = '/agent/v1/token';
const tokenUrl = ({ settings }: ApiContext): string => `${settings.publicUrl}${tokenPath}`;

const keyModel = z
  .strictObject({
    id: z.string(),
    site: z.string(),
    hostName: z.string().nullable(),
    createdAt: z.string(),
    createdBy: z.string(),
    expiresAt: z.string(),
    state: z.enum(['Usable', 'Used', 'Expired', 'Revoked']),
    /** Only in the answer that makes the key. */
    registrationKey: z.string().optional(),
  })
  .meta({ id: 'RegistrationKey' });

const hostModel = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    site: z.string(),
    identity: z.enum(['key', 'entra']),
    agentVersion: z.string().nullable(),
    enrolledAt: z.string(),
    revokedAt: z.string().nullable(),
    lastSeenAt: z.string().nullable(),
  })
  .meta({ id: 'SourceHost' });

const tokenModel = z
  .strictObject({
    accessToken: z.string(),
    tokenType: z.literal('Bearer'),
    expiresInSeconds: z.number(),
    hostId: z.string(),
    site: z.string(),
  })
  .meta({ id: 'HostToken' });

function stateOf(key: RegistrationKey, now: Date): 'Usable' | 'Used' | 'Expired' | 'Revoked' {
  if (key.revokedAt !== null) return 'Revoked';
  if (key.usedBy !== null) return 'Used';
  return now.toISOString() >= key.expiresAt ? 'Expired' : 'Usable';
}

const keyBody = (key: RegistrationKey, now: Date) => ({
  ...{ id: key.id, site: key.fabric, hostName: key.hostName, createdAt: key.createdAt },
  ...{ createdBy: key.createdBy, expiresAt: key.expiresAt, state: stateOf(key, now) },
});

const hostBody = (host: HostRecord) => ({
  ...{ id: host.id, name: host.name, site: host.fabric },
  identity: host.publicKey === null ? ('entra' as const) : ('key' as const),
  ...{ agentVersion: host.agentVersion, enrolledAt: host.enrolledAt },
  ...{ revokedAt: host.revokedAt, lastSeenAt: host.lastSeenAt },
});

const callerOf = ({ id, name, fabric }: HostRecord): HostCaller => ({ kind: 'host', id, name, fabric });

const keysPath = '/lifeboat/v1/sites/{fabric}/registrationKeys';

const keyOperations = [
  operation({
    ...{ id: 'RegistrationKeys_Create', verb: 'POST', path: keysPath, scope: 'service', access: 'Owner' },
    ...{ answers: 'resource', answer: keyModel, isSecret: true },
    body: z.object({ hostName: hostName.nullish() }).meta({ id: 'RegistrationKeyInput' }),
    summary:
      'Makes a registration key: for one host of the site, once, within five days. Shown in this answer only.',
    handler: async (context, request) => {
      const { clock, newId } = context.replication;
      const fabric = await getFabric(context, request.params);
      const now = clock.now();
      const createdBy = request.caller.kind === 'anonymous' ? '' : request.caller.name;
      const about = {
        id: newId(),
        fabric: fabric.name,
        hostName: request.body.hostName ?? null,
        createdBy,
        now,
      };
      const { text, key } = await createRegistrationKey(context.access, about);
      return { status: 201, body: { ...keyBody(key, now), registrationKey: text } };
    },
  }),
  operation({
    ...{ id: 'RegistrationKeys_List', verb: 'GET', path: keysPath, scope: 'service', access: 'Owner' },
    ...{
      answers: 'page',
      answer: keyModel,
      summary: 'Lists the registration keys of a site, without secrets.',
    },
    handler: async (context, request) => {
      const fabric = await getFabric(context, request.params);
      const now = context.replication.clock.now();
      return pageOfAll(context, request, {
        all: await listRegistrationKeys(context.access, fabric.name),
        keyOf: ({ id }) => id,
        body: (key) => keyBody(key, now),
      });
    },
  }),
  operation({
    ...{ id: 'RegistrationKeys_Revoke', verb: 'DELETE', path: `${keysPath}/{key}`, scope: 'service' },
    ...{
      access: 'Owner',
      answers: 'nothing',
      summary: 'Revokes a registration key. A host that used it stays.',
    },
    handler: async (context, { params }) => {
      const fabric = await getFabric(context, params);
      const id = (params['key'] ?? '').toLowerCase();
      const keys = await listRegistrationKeys(context.access, fabric.name);
      if (!keys.some((key) => key.id === id)) {
        const message = `Site "${fabric.name}" has no registration key "${id.slice(0, 60)}".`;
        throw new LifeboatError('ResourceNotFound', message, { target: id.slice(0, 60) });
      }
      await revokeRegistrationKey(context.access, id, context.replication.clock.now());
      return { status: 204 };
    },
  }),
];

async function getHostRecord(context: ApiContext, params: RoutedRequest['params']): Promise<HostRecord> {
  const id = (params['host'] ?? '').toLowerCase();
  const host = /^[0-9a-f-]{36}$/.test(id) ? await findHost(context.access, id) : undefined;
  if (host) return host;
  throw new LifeboatError('ResourceNotFound', `Source host "${id.slice(0, 60)}" does not exist.`, {
    target: id.slice(0, 60),
  });
}

const hostOperations = [
  operation({
    ...{ id: 'Hosts_List', verb: 'GET', path: '/lifeboat/v1/hosts', scope: 'service', access: 'Reader' },
    ...{ answers: 'page', answer: hostModel, summary: 'Lists the source hosts, also revoked ones.' },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listHosts(context.access),
        keyOf: ({ id }) => id,
        body: hostBody,
      }),
  }),
  operation({
    ...{ id: 'Hosts_Revoke', verb: 'POST', path: '/lifeboat/v1/hosts/{host}/revoke', scope: 'service' },
    ...{ access: 'Owner', answers: 'resource', answer: hostModel },
    summary: 'Revokes a source host: its tokens and its key are worth nothing from now on.',
    handler: async (context, { params }) => {
      const { id } = await getHostRecord(context, params);
      const host = await revokeHost(context.access, id, context.replication.clock.now());
      return { status: 200, body: hostBody(host) };
    },
  }),
];

const registerInput = z
  .object({
    registrationKey: z.string().min(1).max(200),
    hostName,
    publicKey,
    signature,
    agentVersion: z.string().max(100).nullish(),
  })
  .meta({ id: 'HostRegistration' });

const selfOperations = [
  operation({
    ...{ id: 'Agent_Register', verb: 'POST', path: '/agent/v1/register', scope: 'service', access: 'Anyone' },
    ...{ body: registerInput, answers: 'resource', isSecret: true },
    answer: z.strictObject({ host: hostModel, tokenUrl: z.string() }).meta({ id: 'HostRegistrationResult' }),
    summary: 'Enrols a host with a registration key and an Ed25519 key pair of its own.',
    handler: async (context, { body }) => {
      const { clock, newId } = context.replication;
      const enrolment = { ...body, agentVersion: body.agentVersion ?? null };
      const host = await enrolHost(context.access, enrolment, { now: clock.now(), newHost: newId() });
      return {
        ...{ status: 200, caller: callerOf(host) },
        body: { host: hostBody(host), tokenUrl: tokenUrl(context) },
      };
    },
  }),
  operation({
    ...{ id: 'Agent_GetToken', verb: 'POST', path: tokenPath, scope: 'service', access: 'Anyone' },
    ...{ answers: 'resource', answer: tokenModel, isSecret: true },
    body: z.object({ assertion: z.string().min(1).max(4096) }).meta({ id: 'HostAssertion' }),
    summary: 'A token for a quarter of an hour, for an assertion that the host signed.',
    handler: async (context, { body }) => {
      const now = context.replication.clock.now();
      const about = { audience: tokenUrl(context), now };
      const { token, host } = await issueHostToken(context.access, body.assertion, about);
      return {
        ...{ status: 200, caller: callerOf(host) },
        body: {
          ...{ accessToken: token, tokenType: 'Bearer', expiresInSeconds: hostTokenSeconds },
          ...{ hostId: host.id, site: host.fabric },
        },
      };
    },
  }),
  operation({
    ...{ id: 'Agent_RotateKey', verb: 'POST', path: '/agent/v1/keys', scope: 'service', access: 'Host' },
    ...{ answers: 'resource', answer: hostModel },
    body: z.object({ publicKey, signature }).meta({ id: 'HostKeyRotation' }),
    summary: 'Replaces the key pair of the calling host; its tokens end.',
    handler: async (context, { body, caller }) => {
      if (caller.kind !== 'host')
        throw new LifeboatError('Forbidden', 'Only a source host itself can replace its key.');
      return { status: 200, body: hostBody(await rotateHostKey(context.access, caller, body)) };
    },
  }),
];

export const hostIdentityOperations = [...keyOperations, ...hostOperations, ...selfOperations];

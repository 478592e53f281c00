// Which service the commands of an operator talk to. First that is given wins: --service and --key, --local, LIFEBOAT_URL and
// LIFEBOAT_KEY, ./.lifeboat of a service that runs here, what `lifeboat login` remembered.
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { AgentError } from '../../agent/agentError.ts';
import { readState, removeFile, writeState } from '../../agent/daemon/stateFiles.ts';
import { readLocalService } from '../../agent/localService.ts';
import { ServiceConnection } from '../../agent/serviceConnection.ts';
import { UsageError } from '../failure.ts';
import { pathOf, type Io } from '../io.ts';

export interface ServiceOptions {
  service?: string;
  key?: string;
  vault?: string;
  local?: string;
  json?: boolean;
}

const loginFile = z.strictObject({
  version: z.literal(1),
  url: z.string(),
  vaultPath: z.string(),
  /** A key of the service, or null when tokens of Entra ID are asked for. */
  key: z.string().nullable(),
  scope: z.string().nullable(),
});
export type Login = z.infer<typeof loginFile>;

/** Of this user alone: it may hold a key. */
export function loginPath({ env }: Pick<Io, 'env'>): string {
  const base = env['XDG_CONFIG_HOME'] ?? env['APPDATA'] ?? join(env['HOME'] ?? homedir(), '.config');
  return join(base, 'lifeboat', 'login.json');
}

export const readLogin = (io: Io): Promise<Login | undefined> => readState(loginPath(io), loginFile);

export async function writeLogin(io: Io, login: Login): Promise<void> {
  await mkdir(dirname(loginPath(io)), { recursive: true, mode: 0o700 });
  await writeState(loginPath(io), login);
}

export const removeLogin = (io: Io): Promise<void> => removeFile(loginPath(io));

export interface ServiceAddress {
  url: string;
  key: string | (() => Promise<string>);
  vaultPath: string;
  /** Of the storage account, where it is known: for downloads. */
  storageConnectionString?: string | undefined;
}

/** A token is asked for again when it is this old: they live an hour or so. */
const tokenAgeMs = 20 * 60_000;

/** Tokens of the sign-in that the Azure CLI of this machine has (`az login`). */
function entraTokens(scope: string): () => Promise<string> {
  let current: { token: string; atMs: number } | undefined;
  return async () => {
    if (current && Date.now() - current.atMs < tokenAgeMs) return current.token;
    const args = ['account', 'get-access-token', '--scope', scope, '--output', 'json'];
    const { stdout } = await promisify(execFile)('az', args).catch((error: unknown) => {
      const message = `The Azure CLI gives no token for ${scope}.`;
      throw new AgentError('OperationFailed', message, 'Install the Azure CLI and run az login.', {
        cause: error,
      });
    });
    const { accessToken } = z.object({ accessToken: z.string() }).parse(JSON.parse(stdout));
    current = { token: accessToken, atMs: Date.now() };
    return accessToken;
  };
}

const vaultPattern =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.RecoveryServices\/vaults\/[^/]+$/i;

export function requireVaultPath(text: string): string {
  if (vaultPattern.test(text)) return text;
  throw new UsageError(
    'The vault is an ARM id: /subscriptions/…/resourceGroups/…/providers/Microsoft.RecoveryServices/vaults/…',
  );
}

/** The service of an address that was given. */
function givenService({ env }: Io, url: string, { key, vault }: ServiceOptions): ServiceAddress {
  const known = key ?? env['LIFEBOAT_KEY'] ?? '';
  if (known === '') throw new UsageError(`No key for the service ${url}: give --key or LIFEBOAT_KEY.`);
  const vaultPath = vault ?? env['LIFEBOAT_VAULT_ID'];
  if (vaultPath === undefined) throw new UsageError('Name the vault with --vault or LIFEBOAT_VAULT_ID.');
  return { url, key: known, vaultPath: requireVaultPath(vaultPath) };
}

async function rememberedService(
  io: Io,
  { key, vault }: ServiceOptions,
): Promise<ServiceAddress | undefined> {
  const login = await readLogin(io);
  if (!login) return undefined;
  const known = key ?? login.key ?? entraTokens(login.scope ?? '');
  return { url: login.url, key: known, vaultPath: vault ?? login.vaultPath };
}

/** Throws UsageError, AgentError `LocalServiceNotRunning`. */
export async function findService(io: Io, options: ServiceOptions): Promise<ServiceAddress> {
  const { service, local } = options;
  if (service !== undefined && local !== undefined) throw new UsageError('Give either --service or --local.');
  const url = service ?? (local === undefined ? io.env['LIFEBOAT_URL'] : undefined) ?? '';
  if (url !== '') return givenService(io, url, options);
  try {
    const found = await readLocalService(pathOf(io, local ?? '.lifeboat'));
    const { adminKey, vaultPath, storageConnectionString } = found;
    return { url: found.url, key: options.key ?? adminKey, vaultPath, storageConnectionString };
  } catch (error) {
    const remembered = local === undefined ? await rememberedService(io, options) : undefined;
    if (!remembered) throw error;
    return remembered;
  }
}

/** A connection that gives up after two seconds: somebody waits at a terminal. */
export function connectionTo(
  { url, key }: Pick<ServiceAddress, 'url' | 'key'>,
  signal: AbortSignal,
): ServiceConnection {
  return new ServiceConnection({ url, key, signal, maxTries: 4, retryDelayMs: 250 });
}

/** For commands that need the account itself. Throws AgentError `OperationFailed` when nothing says where it is. */
export function requireStorage({ storageConnectionString }: ServiceAddress, io: Io): string {
  const found = io.env['LIFEBOAT_STORAGE'] ?? storageConnectionString;
  if (found !== undefined && found !== '') return found;
  const message = 'The bytes of a recovery point are in the storage account, and nothing says which.';
  throw new AgentError(
    'OperationFailed',
    message,
    'Set LIFEBOAT_STORAGE to a connection string of the account.',
  );
}

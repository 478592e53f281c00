// How the agent reaches its service: where it is, and with which key.
import { readFile } from 'node:fs/promises';
import { AgentError } from '../agentError.ts';
import { readError } from '../fileErrors.ts';
import { readLocalService } from '../localService.ts';
import type { ServiceSettings } from '../serviceConnection.ts';
import type { AgentConfig } from './config.ts';
import { readIdentity, tokenSource } from './identity.ts';

/** The service that the file names. Throws AgentError `AgentNotRegistered`, `LocalServiceNotRunning`, or of the key file. */
export async function serviceSettings(config: AgentConfig, signal: AbortSignal): Promise<ServiceSettings> {
  const { url, local, keyFile } = config.service;
  const found = local === undefined ? undefined : await readLocalService(local);
  const address = url ?? found?.url ?? '';
  // A daemon waits by itself; a request is not tried for long.
  const about = { url: address, signal, maxTries: 3 };
  if (keyFile !== undefined) {
    const key = await readFile(keyFile, 'utf8').catch((error: unknown) => {
      throw readError(error, keyFile);
    });
    return { ...about, key: key.trim() };
  }
  const identity = await readIdentity(config.stateFolder);
  if (identity) return { ...about, key: tokenSource({ ...identity, serviceUrl: address }, signal) };
  // On this machine the key of the local service will do.
  if (found) return { ...about, key: found.adminKey };
  const action = 'Run lifeboat agent register with a registration key, or name a keyFile in agent.yaml.';
  throw new AgentError('AgentNotRegistered', 'This host is not registered with the service.', action);
}

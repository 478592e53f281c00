// Which provider makes machines, by the setting LIFEBOAT_COMPUTE.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { armClient } from '../lib/azure/arm.ts';
import { managedIdentityTokens } from '../lib/azure/credential.ts';
import { openExportedDisk } from '../lib/azure/exportedDisk.ts';
import { azureProvider } from '../lib/compute/azure/provider.ts';
import type { ComputeProvider } from '../lib/compute/port.ts';
import { qemuProvider } from '../lib/compute/qemu/provider.ts';
import { vhdProvider } from '../lib/compute/vhd/provider.ts';
import type { AzureStorage } from '../lib/storage/azure/index.ts';
import type { Settings } from './settings.ts';

/** Throws an Error that names the settings that a provider lacks. */
export function computeProvider(settings: Settings, storage: AzureStorage): ComputeProvider {
  switch (settings.LIFEBOAT_COMPUTE) {
    case 'vhd':
      return vhdProvider(storage);
    case 'qemu':
      return qemuProvider(storage, {
        folder: settings.LIFEBOAT_QEMU_FOLDER ?? join(tmpdir(), 'lifeboat-machines'),
        program: settings.LIFEBOAT_QEMU,
        memoryLimitMb: settings.LIFEBOAT_QEMU_MEMORY_MB,
      });
    case 'azure':
      return azure(settings, storage);
  }
}

function azure(settings: Settings, storage: AzureStorage): ComputeProvider {
  const { LIFEBOAT_COMPUTE_LOCATION: location, LIFEBOAT_STORAGE_ID: storageAccountId } = settings;
  if (location === undefined || storageAccountId === undefined)
    throw new Error('LIFEBOAT_COMPUTE=azure needs LIFEBOAT_COMPUTE_LOCATION and LIFEBOAT_STORAGE_ID.');
  const [, , subscriptionId = ''] = settings.LIFEBOAT_VAULT_ID.split('/');
  const endpoint = settings.LIFEBOAT_ARM_ENDPOINT.replace(/\/+$/, '');
  const tokens = managedIdentityTokens(endpoint, settings.LIFEBOAT_STORAGE__clientId);
  return azureProvider(
    { arm: armClient({ endpoint, tokens }), storage, download, openExportedDisk },
    { subscriptionId, location, storageAccountId, recoveredUrl: storage.recoveredUrl },
  );
}

async function download(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { redirect: 'error' });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

// Which account, and as whom: the app's managed identity, for accounts that allow no keys.
import type { TokenCredential } from '@azure/identity';

/** The account by name in the public cloud, or by its two endpoints (other clouds, private names). */
export type AzureIdentitySettings = (
  { accountName: string } | { blobServiceUri: string; tableServiceUri: string }
) & {
  /** Client id of a user-assigned identity. Default: the system-assigned one. */
  clientId?: string;
  /** Another credential instead of the managed identity, for instance a developer's own. */
  credential?: TokenCredential;
};

export function endpointsOf(settings: AzureIdentitySettings): { blob: string; table: string } {
  if ('blobServiceUri' in settings) return { blob: settings.blobServiceUri, table: settings.tableServiceUri };
  const { accountName } = settings;
  return {
    blob: `https://${accountName}.blob.core.windows.net`,
    table: `https://${accountName}.table.core.windows.net`,
  };
}

/**
 * The credential of the settings. The identity library is loaded when the first token is needed: local runs with a
 * connection string never pay for it.
 */
export function managedIdentity(
  settings: Pick<AzureIdentitySettings, 'clientId' | 'credential'>,
): TokenCredential {
  if (settings.credential !== undefined) return settings.credential;
  const { clientId } = settings;
  let loading: Promise<TokenCredential> | undefined;
  const load = async () => {
    const { ManagedIdentityCredential } = await import('@azure/identity');
    return clientId === undefined
      ? new ManagedIdentityCredential()
      : new ManagedIdentityCredential({ clientId });
  };
  return {
    async getToken(scopes, options) {
      const credential = await (loading ??= load());
      return credential.getToken(scopes, options);
    },
  };
}

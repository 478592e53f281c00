// Tokens for Resource Manager through the app's managed identity. The SDK caches and renews them.
import { ManagedIdentityCredential } from '@azure/identity';
import { LifeboatError } from '../errors.ts';
import type { TokenSource } from './arm.ts';

/** `clientId` names a user-assigned identity. */
export function managedIdentityTokens(endpoint: string, clientId?: string): TokenSource {
  const credential = new ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
  return {
    async getToken() {
      try {
        return (await credential.getToken(`${endpoint}/.default`)).token;
      } catch (error) {
        const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
        throw new LifeboatError('ComputeDenied', `No token for ${endpoint}: ${reason ?? ''}`);
      }
    },
  };
}

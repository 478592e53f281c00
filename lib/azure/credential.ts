// Tokens for Resource Manager through the app's managed identity. The SDK caches and renews them.
import { LifeboatError } from '../errors.ts';
import { managedIdentity } from '../storage/azure/identity.ts';
import type { TokenSource } from './arm.ts';

/** `clientId` names a user-assigned identity. */
export function managedIdentityTokens(endpoint: string, clientId?: string): TokenSource {
  const credential = managedIdentity(clientId === undefined ? {} : { clientId });
  return {
    async getToken() {
      try {
        const found = await credential.getToken(`${endpoint}/.default`);
        if (found === null) throw new Error('the identity gave none.');
        return found.token;
      } catch (error) {
        const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
        throw new LifeboatError('ComputeDenied', `No token for ${endpoint}: ${reason ?? ''}`);
      }
    },
  };
}

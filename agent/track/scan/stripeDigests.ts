// The two digests of a scan. A coarse block is asked "is it what it was?" in every cycle, so that answer must be cheap: GMAC,
// an AES-GCM tag over data that is only authenticated, takes less than half of what SHA-256 takes. Under a key that
// nobody else knows it is a universal hash (NIST SP 800-38D): two different blocks of 64 KiB have equal tags with a chance of
// at most 4097 in 2^128, whatever they hold. The nonce never changes: the tags are compared here and shown to nobody.
// A short piece is quicker through SHA-256, which has less to set up; its first 16 bytes are kept.
//
// This function runs in worker threads from its own text, so it uses nothing but its argument.
import type { StripeDigests } from './hashStripe.ts';

export function makeStripeDigests(key: Uint8Array): StripeDigests {
  const { createCipheriv, createSecretKey, hash } = process.getBuiltinModule('node:crypto');
  const secret = createSecretKey(key);
  const nonce = new Uint8Array(12);
  return {
    coarse(bytes) {
      const gmac = createCipheriv('aes-128-gcm', secret, nonce).setAAD(bytes);
      gmac.final();
      return gmac.getAuthTag();
    },
    fine: (bytes) => hash('sha256', bytes, 'buffer'),
    zeros: new Uint8Array(65536),
  };
}

// Ed25519 keys of source hosts: how they travel, and what a host signs to show that it has the private half.
import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { LifeboatError } from '../errors.ts';

/** A raw public key of 32 bytes as base64url. */
export const publicKeyText = /^[A-Za-z0-9_-]{43}$/;

export const publicKeyOf = (text: string): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' });

/** What is signed: one line each, so that no two different requests have the same text. */
export const enrolmentProof = (about: {
  purpose: 'enrol' | 'rotate';
  /** Id of the registration key, or of the host that changes its key. */
  subject: string;
  hostName: string;
  publicKey: string;
}): string =>
  ['lifeboat-host-key-1', about.purpose, about.subject, about.hostName, about.publicKey].join('\n');

/** Throws `InvalidRequest` unless the signature (base64url) over the text was made with the private half of the key. */
export function requireProof(text: string, publicKey: string, signature: string): void {
  let isGenuine = false;
  try {
    isGenuine = verify(null, Buffer.from(text), publicKeyOf(publicKey), Buffer.from(signature, 'base64url'));
  } catch {
    // A key that is no point of the curve.
  }
  if (!isGenuine) {
    const message = 'The signature does not fit the public key: sign the text that docs/security.md names.';
    throw new LifeboatError('InvalidRequest', message, { target: 'signature' });
  }
}

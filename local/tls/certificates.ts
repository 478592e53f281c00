// Makes the certificates of a local host: an authority that people can trust and one certificate that it signed.
// Invariant: the authority's private key leaves this function in no form, so that nobody, whatever they read from the
// data directory, can make a certificate for another name that a trusting client would take.
import { type KeyObject, createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  derBitString,
  derExplicit,
  derImplicit,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  derSet,
  derTime,
  derTrue,
  derUtf8String,
} from './der.ts';

/** PEM texts. */
export interface Certificates {
  authority: string;
  certificate: string;
  privateKey: string;
}

/** Some clients refuse certificates of a longer life. */
const lifetimeDays = 820;
const dayMs = 86_400_000;

const oids = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
};

interface Body {
  issuer: string;
  subject: string;
  publicKey: KeyObject;
  notBefore: Date;
  extensions: Buffer[];
}

/** `names` are host names and IPv4 addresses; valid from a day before `now`, for clocks that differ. */
export function makeCertificates(names: readonly string[], now: Date): Certificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authorityKeyId = keyIdOf(authority.publicKey);
  const issuer = `Local host authority ${authorityKeyId.toString('hex').slice(0, 8)}`;
  const notBefore = new Date(now.getTime() - dayMs);
  const toPem = (body: Omit<Body, 'issuer' | 'notBefore'>): string =>
    signBody({ ...body, issuer, notBefore }, authority.privateKey);
  return {
    authority: toPem({
      subject: issuer,
      publicKey: authority.publicKey,
      extensions: [
        critical(oids.basicConstraints, derSequence(derTrue(), derInteger(Uint8Array.of(0)))),
        // keyCertSign, cRLSign
        critical(oids.keyUsage, derBitString(Uint8Array.of(0b0000_0110), 1)),
        extension(oids.subjectKeyIdentifier, derOctetString(authorityKeyId)),
      ],
    }),
    certificate: toPem({
      subject: names[0] ?? 'localhost',
      publicKey: server.publicKey,
      extensions: [
        critical(oids.basicConstraints, derSequence()),
        // digitalSignature
        critical(oids.keyUsage, derBitString(Uint8Array.of(0b1000_0000), 7)),
        extension(oids.extendedKeyUsage, derSequence(derOid(oids.serverAuth))),
        extension(oids.subjectAltName, derSequence(...names.map(toGeneralName))),
        extension(oids.subjectKeyIdentifier, derOctetString(keyIdOf(server.publicKey))),
        extension(oids.authorityKeyIdentifier, derSequence(derImplicit(0, authorityKeyId))),
      ],
    }),
    privateKey: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function signBody({ issuer, subject, publicKey, notBefore, extensions }: Body, key: KeyObject): string {
  const algorithm = derSequence(derOid(oids.ecdsaWithSha256));
  const notAfter = new Date(notBefore.getTime() + lifetimeDays * dayMs);
  const version3 = derInteger(Uint8Array.of(2));
  const body = derSequence(
    derExplicit(0, version3),
    derInteger(randomBytes(16)),
    algorithm,
    toName(issuer),
    derSequence(derTime(notBefore), derTime(notAfter)),
    toName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    derExplicit(3, derSequence(...extensions)),
  );
  const certificate = derSequence(body, algorithm, derBitString(sign('sha256', body, key)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function toName(commonName: string): Buffer {
  return derSequence(derSet(derSequence(derOid(oids.commonName), derUtf8String(commonName))));
}

function extension(oid: string, value: Uint8Array): Buffer {
  return derSequence(derOid(oid), derOctetString(value));
}

function critical(oid: string, value: Uint8Array): Buffer {
  return derSequence(derOid(oid), derTrue(), derOctetString(value));
}

/** Tag 2 is a host name, 7 an address. */
function toGeneralName(name: string): Buffer {
  return isIPv4(name)
    ? derImplicit(7, Buffer.from(name.split('.').map(Number)))
    : derImplicit(2, Buffer.from(name, 'latin1'));
}

function keyIdOf(publicKey: KeyObject): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);
}

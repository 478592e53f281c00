// The certificates of `--https`: what OpenSSL (through Node) makes of them, and what happens to them over restarts.
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../../local/tls/certificates.ts';
import { derInteger, derOid, derOctetString, derTime } from '../../../local/tls/der.ts';
import { openServerCertificate } from '../../../local/tls/serverCertificate.ts';

const parent = mkdtempSync(join(tmpdir(), 'tls-'));
afterAll(() => rmSync(parent, { recursive: true }));

const now = new Date('2026-03-01T12:00:00Z');
const laterBy = (days: number): Date => new Date(now.getTime() + days * 86_400_000);
const newFolder = (): string => join(mkdtempSync(join(parent, 'data-')), 'tls');
const noRenewal = (message: string): never => {
  throw new Error(message);
};

describe('DER', () => {
  it('writes lengths of one, two and three bytes', () => {
    const headerOf = (length: number): string =>
      derOctetString(new Uint8Array(length)).subarray(0, -length).toString('hex');
    expect([127, 128, 255, 256, 65_536].map(headerOf)).toEqual([
      '047f',
      '048180',
      '0481ff',
      '04820100',
      '0483010000',
    ]);
  });

  it('writes integers in their shortest positive form', () => {
    const content = (bytes: Uint8Array): Buffer => derInteger(bytes).subarray(2);
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(bytes, (magnitude) => {
        const written = content(magnitude);
        expect(BigInt(`0x${written.toString('hex')}`)).toBe(
          BigInt(`0x${Buffer.from(magnitude).toString('hex')}`),
        );
        expect(written.at(0)).toBeLessThan(0x80);
        if (written.length > 1 && written[0] === 0) expect(written[1]).toBeGreaterThanOrEqual(0x80);
      }),
    );
  });

  it('writes object identifiers and times as RFC 5280 has them', () => {
    expect(derOid('1.2.840.10045.4.3.2').toString('hex')).toBe('06082a8648ce3d040302');
    expect(derTime(new Date('2049-12-31T23:59:59.9Z')).toString('latin1')).toBe('\x17\x0d491231235959Z');
    expect(derTime(new Date('2050-01-01T00:00:00Z')).toString('latin1')).toBe('\x18\x0f20500101000000Z');
  });
});

describe('the certificates', () => {
  const made = makeCertificates(['localhost', '127.0.0.1'], now);
  const authority = new X509Certificate(made.authority);
  const server = new X509Certificate(made.certificate);

  it('name the host, and nothing else', () => {
    expect(server.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1');
    expect(server.checkHost('localhost')).toBe('localhost');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.checkHost('example.org')).toBeUndefined();
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('form a chain whose authority is one and whose leaf is none', () => {
    expect([authority.ca, server.ca]).toEqual([true, false]);
    expect(authority.verify(authority.publicKey) && server.verify(authority.publicKey)).toBe(true);
    expect(server.checkIssued(authority)).toBe(true);
  });

  it('are valid from a day before, and no longer than clients accept', () => {
    const [from, to] = [new Date(server.validFrom), new Date(server.validTo)];
    expect(from.getTime()).toBe(laterBy(-1).getTime());
    expect(to.getTime() - from.getTime()).toBeLessThanOrEqual(825 * 86_400_000);
  });

  it('differ each time', () => {
    const other = makeCertificates(['localhost'], now);
    expect(new X509Certificate(other.certificate).verify(authority.publicKey)).toBe(false);
    expect(other.privateKey).not.toBe(made.privateKey);
  });
});

describe('in the data directory', () => {
  it('they are kept, readable by the user only, and the authority’s key is not there', async () => {
    const folder = newFolder();
    const first = await openServerCertificate(folder, now, noRenewal);
    expect(await openServerCertificate(folder, laterBy(700), noRenewal)).toEqual(first);
    expect(readdirSync(folder).sort()).toEqual(['ca.pem', 'server.key', 'server.pem']);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const server = new X509Certificate(readFileSync(join(folder, 'server.pem')));
    const authority = new X509Certificate(readFileSync(first.authorityFile));
    expect(server.publicKey.equals(authority.publicKey)).toBe(false);
  });

  it('they are made anew before they expire, and that is said', async () => {
    const folder = newFolder();
    const first = await openServerCertificate(folder, now, noRenewal);
    const said: string[] = [];
    const next = await openServerCertificate(folder, laterBy(800), (message) => said.push(message));
    expect(next.chain).not.toBe(first.chain);
    expect(said).toEqual([expect.stringContaining(first.authorityFile)]);
    expect(await openServerCertificate(folder, laterBy(801), noRenewal)).toEqual(next);
  });

  it('a set that a killed start left unfinished is made anew', async () => {
    const folder = newFolder();
    const { authorityFile } = await openServerCertificate(folder, now, noRenewal);
    rmSync(authorityFile);
    await openServerCertificate(folder, now, noRenewal);
    expect(existsSync(authorityFile)).toBe(true);
  });

  it.each([
    ['server.pem', 'is no certificate'],
    ['server.key', 'is no key'],
    ['ca.pem', ''],
  ])('a damaged %s is refused, with what to do', async (name, text) => {
    const folder = newFolder();
    await openServerCertificate(folder, now, noRenewal);
    writeFileSync(join(folder, name), text);
    await expect(openServerCertificate(folder, now, noRenewal)).rejects.toThrow(
      /damaged.*Remove the folder/s,
    );
  });

  it('files of different sets are refused', async () => {
    const [one, other] = [newFolder(), newFolder()];
    for (const folder of [one, other]) await openServerCertificate(folder, now, noRenewal);
    for (const name of ['server.key', 'server.pem']) {
      const kept = readFileSync(join(one, name));
      writeFileSync(join(one, name), readFileSync(join(other, name)));
      await expect(openServerCertificate(one, now, noRenewal)).rejects.toThrow('damaged');
      writeFileSync(join(one, name), kept);
    }
  });
});

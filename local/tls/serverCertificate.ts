// The certificate of `--https`: made once, kept in the data directory, made anew before it expires. Who trusts the
// authority's file trusts this host over restarts.
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../process/atomicFile.ts';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';
import { type Certificates, makeCertificates } from './certificates.ts';

export interface ServerCertificate {
  /** PEM file for clients to trust. */
  authorityFile: string;
  /** PEM: the host's certificate, then its authority. */
  chain: string;
  /** PEM. */
  privateKey: string;
}

/** What local URLs are made of; the first one is the certificate's subject. */
const names = ['localhost', '127.0.0.1'];
/** A start this long before the end makes new ones: a host that runs for a month still has a valid certificate. */
const renewBeforeMs = 30 * 86_400_000;

/**
 * Reads the three files in `folder`, or makes them. `onRenewed` hears when an authority that people may trust was
 * replaced. Throws StartError when the files are damaged or do not belong together.
 */
export async function openServerCertificate(
  folder: string,
  now: Date,
  onRenewed: (message: string) => void,
): Promise<ServerCertificate> {
  const files = {
    authority: join(folder, 'ca.pem'),
    certificate: join(folder, 'server.pem'),
    privateKey: join(folder, 'server.key'),
  };
  const kept = await readFiles(files);
  const expiresAt = kept === undefined ? undefined : checkFiles(folder, kept);
  const isKept = kept !== undefined && Number(expiresAt) - renewBeforeMs > now.getTime();
  const certificates = isKept ? kept : makeCertificates(names, now);
  if (!isKept) {
    if (kept !== undefined)
      onRenewed(
        `The certificates in ${folder} expire, so new ones were made. Trust ${files.authority} again.`,
      );
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The authority goes first and comes last: a start that was killed in between finds no set, and makes one.
    await rm(files.authority, { force: true });
    await writeFileAtomically(files.privateKey, certificates.privateKey);
    await writeFileAtomically(files.certificate, certificates.certificate);
    await writeFileAtomically(files.authority, certificates.authority);
  }
  const { authority, certificate, privateKey } = certificates;
  return { authorityFile: files.authority, chain: certificate + authority, privateKey };
}

/** Undefined when there is no authority yet. */
async function readFiles(files: Record<keyof Certificates, string>): Promise<Certificates | undefined> {
  const read = async (file: string): Promise<string | undefined> => {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw new StartError(
        `Cannot read ${file}: ${reasonOf(error)}. Correct its permissions, or remove it.`,
        {
          cause: error,
        },
      );
    }
  };
  const authority = await read(files.authority);
  if (authority === undefined) return undefined;
  return {
    authority,
    certificate: (await read(files.certificate)) ?? '',
    privateKey: (await read(files.privateKey)) ?? '',
  };
}

/** When the first of the two certificates expires. */
function checkFiles(folder: string, { authority, certificate, privateKey }: Certificates): Date {
  try {
    const signer = new X509Certificate(authority);
    const server = new X509Certificate(certificate);
    if (!server.verify(signer.publicKey)) throw new Error('server.pem was not signed by ca.pem');
    if (!server.checkPrivateKey(createPrivateKey(privateKey)))
      throw new Error('server.key is not the key of server.pem');
    return new Date(Math.min(Date.parse(server.validTo), Date.parse(signer.validTo)));
  } catch (error) {
    throw new StartError(
      `The certificates in ${folder} are damaged: ${reasonOf(error)}. Remove the folder; the next start makes new ones, which clients must trust again.`,
      { cause: error },
    );
  }
}

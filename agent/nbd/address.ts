// Where an NBD export is: nbd://host:port/export, nbd+unix:///export?socket=/path.
import { LifeboatError } from '../../lib/errors.ts';

export interface NbdAddress {
  socket: { path: string } | { host: string; port: number };
  exportName: string;
}

const defaultPort = 10809;

function invalid(uri: string, what: string): LifeboatError {
  const forms = 'nbd://host:port/export or nbd+unix:///export?socket=/path';
  return new LifeboatError('InvalidRequest', `NBD address "${uri}" ${what}; give ${forms}`, { target: uri });
}

/** True for text that is meant as an NBD address. */
export const isNbdUri = (text: string): boolean => /^nbds?(\+unix)?:/i.test(text);

/** Throws LifeboatError `InvalidRequest`. */
export function parseNbdUri(uri: string): NbdAddress {
  if (!URL.canParse(uri)) throw invalid(uri, 'is no URI');
  const { protocol, hostname, port, pathname, searchParams, username } = new URL(uri);
  if (username !== '')
    throw invalid(uri.replace(/\/\/[^@]*@/, '//'), 'has a user name, which NBD cannot use');
  const exportName = decodeURIComponent(pathname.replace(/^\//, ''));
  if (protocol === 'nbd+unix:') {
    const path = searchParams.get('socket');
    if (!path) throw invalid(uri, 'names no socket');
    return { socket: { path }, exportName };
  }
  if (protocol !== 'nbd:') throw invalid(uri, 'has an unknown scheme (TLS is not offered)');
  if (hostname === '') throw invalid(uri, 'names no host');
  // Brackets belong to the URI, not to an IPv6 address.
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return { socket: { host, port: port === '' ? defaultPort : Number(port) }, exportName };
}

/** The address as a URI. */
export function formatNbdUri({ socket, exportName }: NbdAddress): string {
  const name = encodeURIComponent(exportName);
  if ('path' in socket) return `nbd+unix:///${name}?socket=${socket.path}`;
  const host = socket.host.includes(':') ? `[${socket.host}]` : socket.host;
  return `nbd://${host}:${socket.port}/${name}`;
}

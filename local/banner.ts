// What a person sees when the host is ready: where it listens, what it serves, where its data is, how to stop it.
import type { AdminFunction } from './http/adminApi.ts';
import type { HttpRoute } from './http/routeTable.ts';

export interface BannerContent {
  url: string;
  appName: string;
  dataDirectory: string;
  blobEndpoint: string;
  /** Undefined when the host asks for no keys. */
  keysFile: string | undefined;
  /** Undefined when the host serves plain HTTP. */
  caCertificate: string | undefined;
  functions: readonly AdminFunction[];
  routes: readonly HttpRoute[];
}

export function formatBanner({
  url,
  appName,
  dataDirectory,
  blobEndpoint,
  keysFile,
  caCertificate,
  functions,
  routes,
}: BannerContent): string {
  const widest = Math.max(...functions.map(({ loaded }) => loaded.name.length));
  const line = ({ loaded, isDisabled, error }: AdminFunction): string => {
    const route = routes.find((candidate) => candidate.loaded === loaded);
    const trigger =
      route === undefined ? loaded.trigger.type : `${route.methods.join(',')} ${url}/${route.path}`;
    const what = isDisabled ? 'disabled' : error === undefined ? trigger : 'in error, see the log';
    return `  ${loaded.name.padEnd(widest)}  ${what}`;
  };
  return [
    '',
    `${appName} is ready at ${url}`,
    '',
    ...functions.map(line),
    '',
    `Data:     ${dataDirectory}`,
    `Storage:  ${blobEndpoint}`,
    ...(keysFile === undefined ? [] : [`Keys:     ${keysFile}`]),
    ...(caCertificate === undefined ? [] : [`CA:       ${caCertificate}`]),
    'Stop:     Ctrl-C',
    '',
  ].join('\n');
}

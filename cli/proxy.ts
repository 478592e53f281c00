// Requests to the service go through the proxy that the environment names, as those to the storage account do by themselves.

const variables = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];

/** Makes `fetch` use HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Without them nothing is loaded. */
export async function useEnvironmentProxy(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  if (!variables.some((name) => (env[name] ?? '') !== '')) return;
  const { EnvHttpProxyAgent, setGlobalDispatcher } = await import('undici');
  setGlobalDispatcher(new EnvHttpProxyAgent());
}

// The URLs of the management API, as the durableClient binding and the answer to a start carry them.
// Clients in the app use `rpcBaseUrl`; everybody else uses the links under /runtime/webhooks/durabletask.
import type { TypedData } from '../worker/types.ts';

/** Both bases serve the same API. */
export const webhookBasePath = '/runtime/webhooks/durabletask';
export const rpcBasePath = '/durabletask';

/** The SDK puts the instance id in place of this text. */
const idPlaceholder = 'INSTANCEID';

/** Where the API of a hub is found, and the key it asks for. */
export interface ApiAddress {
  /** Without a slash at the end. */
  origin: string;
  hubName: string;
  /** System key that the links carry as `code`; absent when none is asked for. */
  webhookKey?: string | undefined;
  /** Base for the app's own clients, with a slash at the end; below `origin` when absent. */
  rpcBaseUrl?: string | undefined;
}

/** Management links of one instance. */
export function instanceLinks(address: ApiAddress, instanceId: string): Record<string, string> {
  const base = `${address.origin}${webhookBasePath}/instances/${encodeURIComponent(instanceId)}`;
  const query = queryOf(address);
  return {
    id: instanceId,
    statusQueryGetUri: `${base}?${query}`,
    sendEventPostUri: `${base}/raiseEvent/{eventName}?${query}`,
    terminatePostUri: `${base}/terminate?reason={text}&${query}`,
    rewindPostUri: `${base}/rewind?reason={text}&${query}`,
    purgeHistoryDeleteUri: `${base}?${query}`,
    restartPostUri: `${base}/restart?${query}`,
    suspendPostUri: `${base}/suspend?reason={text}&${query}`,
    resumePostUri: `${base}/resume?reason={text}&${query}`,
  };
}

/** What the durableClient input binding gives to a function. */
export function clientBindingData(address: ApiAddress): TypedData {
  const { origin, hubName, rpcBaseUrl = `${origin}${rpcBasePath}/` } = address;
  const base = `${origin}${webhookBasePath}`;
  const query = queryOf(address);
  const start = `${base}/orchestrators/{functionName}[/{instanceId}]`;
  const data = {
    taskHubName: hubName,
    creationUrls: {
      createNewInstancePostUri: `${start}?${query}`,
      createAndWaitOnNewInstancePostUri: `${start}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${query}`,
    },
    managementUrls: instanceLinks(address, idPlaceholder),
    baseUrl: base,
    requiredQueryStringParameters: query,
    rpcBaseUrl,
  };
  return { string: JSON.stringify(data) };
}

function queryOf({ hubName, webhookKey }: ApiAddress): string {
  const code = webhookKey === undefined ? '' : `&code=${encodeURIComponent(webhookKey)}`;
  return `taskHub=${hubName}&connection=AzureWebJobsStorage${code}`;
}

// The URLs of the management API, as the durableClient binding and the answer to a start carry them.
// Clients in the app use `rpcBaseUrl`; everybody else uses the links under /runtime/webhooks/durabletask.
import type { TypedData } from '../worker/types.ts';

/** Both bases serve the same API. */
export const webhookBasePath = '/runtime/webhooks/durabletask';
export const rpcBasePath = '/durabletask';

/** The SDK puts the instance id in place of this text. */
const idPlaceholder = 'INSTANCEID';

/** Management links of one instance. */
export function instanceLinks(origin: string, hubName: string, instanceId: string): Record<string, string> {
  const base = `${origin}${webhookBasePath}/instances/${encodeURIComponent(instanceId)}`;
  const query = queryOf(hubName);
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
export function clientBindingData(origin: string, hubName: string): TypedData {
  const base = `${origin}${webhookBasePath}`;
  const query = queryOf(hubName);
  const start = `${base}/orchestrators/{functionName}[/{instanceId}]`;
  const data = {
    taskHubName: hubName,
    creationUrls: {
      createNewInstancePostUri: `${start}?${query}`,
      createAndWaitOnNewInstancePostUri: `${start}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${query}`,
    },
    managementUrls: instanceLinks(origin, hubName, idPlaceholder),
    baseUrl: base,
    requiredQueryStringParameters: query,
    rpcBaseUrl: `${origin}${rpcBasePath}/`,
  };
  return { string: JSON.stringify(data) };
}

function queryOf(hubName: string): string {
  return `taskHub=${hubName}&connection=AzureWebJobsStorage`;
}

// What an action of a plan asks for, in one form: whom to call, how long, how often. Pure; lib/plans/runAction.ts does it.
import type { PlanAction } from '../vault/recoveryPlans.ts';

export type ActionWork =
  | { kind: 'manual'; instructions: string }
  | { kind: 'delay'; seconds: number }
  | { kind: 'webhook'; url: string; deadlineSeconds: number }
  | {
      kind: 'probe';
      url: string;
      deadlineSeconds: number;
      intervalSeconds: number;
      expectedStatus: number | null;
    }
  | { kind: 'impossible'; reason: string };

const defaultTimeoutSeconds = 300;
const longestTimeoutSeconds = 86_400;

/** Seconds in `PT1H30M`, `01:30:00` or `5400`; undefined for anything else, and for nothing at all. */
export function timeoutSeconds(text: string): number | undefined {
  const iso = /^P(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)$/.exec(text);
  const clock = /^(\d{1,2}):(\d{2}):(\d{2})$/.exec(text);
  const [, hours, minutes, seconds]: (string | undefined)[] = iso ?? clock ?? ['', '0', '0', text];
  if (![hours, minutes, seconds].every((part) => part === undefined || /^\d{1,6}$/.test(part)))
    return undefined;
  const sum = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  return sum >= 1 && sum <= longestTimeoutSeconds ? sum : undefined;
}

const protocolOf = (text: string): string => (URL.canParse(text) ? new URL(text).protocol : '');

function webhook(field: string, url: string, timeout: string | null | undefined): ActionWork {
  const protocol = protocolOf(url);
  if (protocol !== 'https:' && protocol !== 'http:') {
    const reason = `${field} is no URL: what runs here is a webhook, so give the address of one (https://…).`;
    return { kind: 'impossible', reason };
  }
  const seconds = timeout ? timeoutSeconds(timeout) : defaultTimeoutSeconds;
  if (seconds === undefined)
    return { kind: 'impossible', reason: `timeout is no time up to a day, such as 300, PT5M or 00:05:00.` };
  return { kind: 'webhook', url, deadlineSeconds: seconds };
}

export function workOf({ customDetails: details }: PlanAction): ActionWork {
  switch (details.instanceType) {
    case 'ManualActionDetails':
      return { kind: 'manual', instructions: details.description ?? '' };
    case 'ScriptActionDetails':
      return webhook('path', details.path, details.timeout);
    case 'AutomationRunbookActionDetails':
      return webhook('runbookId', details.runbookId ?? '', details.timeout);
    case 'LifeboatDelayActionDetails':
      return { kind: 'delay', seconds: details.seconds };
    case 'LifeboatProbeActionDetails': {
      const { url, deadlineSeconds, intervalSeconds, expectedStatus = null } = details;
      if (['https:', 'http:', 'tcp:'].includes(protocolOf(url)))
        return { kind: 'probe', url, deadlineSeconds, intervalSeconds, expectedStatus };
      return { kind: 'impossible', reason: 'url is neither http(s)://… nor tcp://host:port.' };
    }
  }
}

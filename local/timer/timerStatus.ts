// The monitor's memory of a timer: a status blob named and written as the real host's, so that an occurrence
// missed while no host ran is noticed at the next start.
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import type { Schedule } from './ncrontab.ts';

export interface TimerStatus {
  /** Absent until the first run. */
  last?: Date;
  next: Date;
  lastUpdated: Date;
}

/** .NET's DateTime.MinValue, which stands for "never". */
const never = '0001-01-01T00:00:00';

/** The JSON form of the blob and of the trigger's `ScheduleStatus`. */
export function toStatusJson({
  last,
  next,
  lastUpdated,
}: TimerStatus): Record<'Last' | 'Next' | 'LastUpdated', string> {
  return {
    Last: last === undefined ? never : toTime(last),
    Next: toTime(next),
    LastUpdated: toTime(lastUpdated),
  };
}

function toTime(date: Date): string {
  return date.toISOString().replace('Z', '+00:00');
}

/**
 * What a start finds. Past due is a recorded `Next` that has gone by; when the schedule was changed since, `Next`
 * is computed anew and nothing counts as missed.
 */
export function judgeStatus(
  found: TimerStatus | undefined,
  schedule: Schedule,
  now: Date,
): { status?: TimerStatus; isPastDue: boolean } {
  const expected = found === undefined ? undefined : schedule.next(found.last ?? found.lastUpdated);
  if (found !== undefined && expected?.getTime() === found.next.getTime()) {
    return { status: found, isPastDue: found.next < now };
  }
  const next = schedule.next(now);
  if (next === undefined) return { isPastDue: false };
  const last = found?.last;
  return { status: { ...(last === undefined ? {} : { last }), next, lastUpdated: now }, isPastDue: false };
}

export class TimerStatusBlob {
  readonly #blob: BlockBlobClient;

  /** `container` is azure-webjobs-hosts and exists. */
  constructor(container: ContainerClient, hostId: string, functionName: string) {
    this.#blob = container.getBlockBlobClient(`timers/${hostId}/Host.Functions.${functionName}/status`);
  }

  /** Undefined when there is none, or none that can be read. */
  async find(): Promise<TimerStatus | undefined> {
    try {
      const json = JSON.parse((await this.#blob.downloadToBuffer()).toString('utf8')) as Record<
        string,
        string
      >;
      const [last, next, lastUpdated] = [json['Last'], json['Next'], json['LastUpdated']].map(
        (text) => new Date(text ?? NaN),
      );
      if (
        next === undefined ||
        lastUpdated === undefined ||
        Number.isNaN(next.getTime() + lastUpdated.getTime())
      )
        return undefined;
      const hasRun = json['Last'] !== never && last !== undefined && !Number.isNaN(last.getTime());
      return { ...(hasRun ? { last } : {}), next, lastUpdated };
    } catch (error) {
      if (error instanceof SyntaxError || (error as { statusCode?: number }).statusCode === 404)
        return undefined;
      throw error;
    }
  }

  async save(status: TimerStatus): Promise<void> {
    const body = Buffer.from(JSON.stringify(toStatusJson(status)));
    await this.#blob.upload(body, body.length, { blobHTTPHeaders: { blobContentType: 'application/json' } });
  }
}

// One episode: the app's orchestrator replays history plus messages, and its report is turned into the events to commit.
// Writes nothing. The same input may be run again after a crash; only a commit makes an outcome count.
import type { TypedData, Worker } from '../worker/types.ts';
import { findStateInErrorMessage, parseOrchestratorState, type OrchestratorState } from './actions.ts';
import { eventType, type HistoryEvent, type SchedulingEvent } from './events.ts';
import {
  closingEvents,
  completedEvent,
  freshEvents,
  timestampOf,
  toPayload,
  toStored,
  type EpisodeEnding,
  type EpisodeInput,
} from './episodeEvents.ts';
import { errorText } from './errorText.ts';
import type { FunctionIndex } from './functionIndex.ts';
import type { StoredEvent } from './historyStore.ts';
import type { InstanceRecord } from './instanceRecord.ts';
import { planEpisode } from './replay.ts';
import { describeDivergence } from './replayErrors.ts';

export interface EpisodeOutcome {
  /** What the history grows by. */
  events: StoredEvent[];
  /** The tasks among `events` that are to be started after the commit. */
  decisions: SchedulingEvent[];
  canceledTimerIds: number[];
  /** JSON text; undefined leaves the status as it is. */
  customStatus?: string;
  ending?: EpisodeEnding;
  /** Present when the orchestrator continues as new; `input` is JSON text or null. */
  next?: { input: string | null };
}

/** 16 KB of UTF-16, the extension's limit. */
const customStatusCharLimit = 8192;

export class EpisodeRunner {
  private readonly worker: Worker;
  private readonly functions: FunctionIndex;
  private readonly strict: boolean;

  constructor(worker: Worker, functions: FunctionIndex, strict: boolean) {
    this.worker = worker;
    this.functions = functions;
    this.strict = strict;
  }

  /** Runs the orchestrator once (twice when strict). What the app does wrong ends in a Failed outcome, not in an error. */
  async run(input: EpisodeInput): Promise<EpisodeOutcome> {
    const fresh = freshEvents(input);
    try {
      const payload = toPayload(input, fresh);
      const json = await this.invoke(input.record.name, payload);
      const state = parseOrchestratorState(json);
      if (this.strict) {
        const divergence = describeDivergence(json, await this.invoke(input.record.name, payload));
        if (divergence !== undefined) return failed(input.record, fresh, divergence);
      }
      return this.conclude(input, fresh, state);
    } catch (error) {
      return failed(input.record, fresh, errorText(error));
    }
  }

  private conclude(input: EpisodeInput, fresh: StoredEvent[], state: OrchestratorState): EpisodeOutcome {
    const now = timestampOf(fresh);
    const events = [...input.history, ...fresh].map((stored) => stored.event);
    const plan = planEpisode({
      actions: state.actions,
      events,
      executionId: input.record.executionId,
      now,
      strict: this.strict,
    });
    if (plan.violation !== undefined) return failed(input.record, fresh, plan.violation);
    if (state.error !== undefined) return failed(input.record, fresh, state.error, state);
    const { customStatus } = state;
    if (customStatus !== undefined && customStatus.length > customStatusCharLimit) {
      const problem = `The custom status is ${customStatus.length} characters of JSON; the limit is 16 KB of UTF-16, ${customStatusCharLimit} characters.`;
      return failed(input.record, fresh, problem);
    }
    const next = state.isDone ? state.actions.find((action) => action.kind === 'continueAsNew') : undefined;
    const canceledTimerIds = newlyCanceled(plan.canceledTimerIds, events);
    const canceled = canceledTimerIds.map((id) =>
      toStored({ EventType: eventType.generic, EventId: -1, Timestamp: now, CanceledTimerId: id }),
    );
    const outcome: EpisodeOutcome = {
      events: [
        ...fresh,
        ...plan.decisions.map(toStored),
        ...canceled,
        ...closingEvents(now, state, next !== undefined),
      ],
      decisions: plan.decisions,
      canceledTimerIds,
      ...(customStatus === undefined ? {} : { customStatus }),
    };
    if (next) outcome.next = { input: next.input };
    else if (state.isDone) outcome.ending = { status: 'Completed', output: state.output };
    return outcome;
  }

  /** The orchestrator's report as JSON text. @throws Error when it failed before the SDK could report. */
  private async invoke(name: string, payload: string): Promise<string> {
    const orchestrator = this.functions.find('orchestrator', name);
    if (orchestrator === undefined) throw new Error(this.functions.describeMissing('orchestrator', name));
    try {
      const result = await this.worker.invoke({
        functionId: orchestrator.functionId,
        trigger: { string: payload },
      });
      return reportText(result.returnValue);
    } catch (error) {
      const state = error instanceof Error ? findStateInErrorMessage(error.message) : undefined;
      if (state === undefined) throw error;
      return state;
    }
  }
}

function reportText(value: TypedData | undefined): string {
  const text = value?.json ?? value?.string;
  if (text === undefined)
    throw new Error('the orchestrator returned no report; is it registered through durable-functions?');
  return text;
}

function newlyCanceled(canceledTimerIds: readonly number[], events: readonly HistoryEvent[]): number[] {
  const settled = new Set<number>();
  for (const event of events) {
    if (event.EventType === eventType.timerFired) settled.add(event.TimerId);
    else if (event.EventType === eventType.generic) settled.add(event.CanceledTimerId);
  }
  return canceledTimerIds.filter((id) => !settled.has(id));
}

function failed(
  record: InstanceRecord,
  fresh: StoredEvent[],
  problem: string,
  state?: OrchestratorState,
): EpisodeOutcome {
  const now = timestampOf(fresh);
  const output = JSON.stringify(`Orchestrator function '${record.name}' failed: ${problem}`);
  const closed = toStored({ EventType: eventType.orchestratorCompleted, EventId: -1, Timestamp: now });
  const customStatus = state?.customStatus;
  return {
    events: [...fresh, completedEvent(now, 'Failed', output, state?.failureDetails), closed],
    decisions: [],
    canceledTimerIds: [],
    ending: { status: 'Failed', output },
    ...(customStatus !== undefined && customStatus.length <= customStatusCharLimit ? { customStatus } : {}),
  };
}

// `lifeboat agent run` in a terminal: what each item does, how fast and how long still, below the log. Elsewhere only the log, with
// a line a minute for whatever is copied or read.
import type { AgentStatus } from '../../agent/daemon/statusFile.ts';
import type { Io } from '../io.ts';
import { LiveText } from '../live/liveText.ts';
import { Meter } from '../live/meter.ts';
import { progressText } from '../progress.ts';

const plainEveryMs = 60_000;

export interface LiveAgent {
  log: (line: string) => void;
  onStatus: (status: AgentStatus) => void;
  end: () => Promise<void>;
}

type Item = AgentStatus['items'][number];

export function startLiveAgent(io: Io): LiveAgent {
  const live = new LiveText(io, { isQuiet: false, plainEveryMs });
  /** Of what an item does now. */
  const meters = new Map<string, { doing: string; meter: Meter }>();

  function textOf({ item, activity }: Item): { text: string; isMeasured: boolean } {
    const { doing, doneBytes, totalBytes } = activity;
    const what = `${item}: ${doing}`;
    if (doneBytes === undefined || totalBytes === undefined) {
      meters.delete(item);
      return { text: what, isMeasured: false };
    }
    const known = meters.get(item);
    const { meter } = known?.doing === doing ? known : { meter: new Meter() };
    meters.set(item, { doing, meter });
    const pace = meter.pace(doneBytes, totalBytes, live.nowMs());
    return { text: progressText(what, { doneBytes, totalBytes }, pace), isMeasured: true };
  }

  return {
    log: (line) => live.print(line),
    onStatus({ service, items }) {
      const rows = items.map(textOf);
      const { problem, url } = service;
      const head = `agent: ${items.length} ${items.length === 1 ? 'item' : 'items'}, ${problem === null ? url : 'the service does not answer'}`;
      live.show([head, ...rows.map(({ text }) => text)], {
        plain: rows.filter(({ isMeasured }) => isMeasured).map(({ text }) => text),
      });
    },
    end: () => live.end(),
  };
}

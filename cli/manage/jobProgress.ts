// A job while it runs: its state, its steps, how far it is and how long it still takes.
import * as z from 'zod';
import { formatDuration } from '../humanText.ts';
import type { Io } from '../io.ts';
import { LiveText } from '../live/liveText.ts';
import { Meter } from '../live/meter.ts';
import type { ArmResource, Management } from './management.ts';

const running = z.looseObject({
  friendlyName: z.string().catch('job'),
  targetObjectName: z.string().nullish().catch(null),
  state: z.string(),
  stateDescription: z.string().nullish().catch(null),
  tasks: z.array(z.looseObject({ friendlyName: z.string(), state: z.string() })).catch([]),
});

const icons: Readonly<Record<string, string>> = {
  Succeeded: '✔',
  InProgress: '❯',
  Failed: '✖',
  Cancelled: '✖',
  Skipped: '-',
};

export interface JobProgress {
  /** Shows the job as it is now; asks the service how far it is, if that is shown. */
  see: (job: ArmResource) => Promise<void>;
  /** Removes the picture. May be called twice. */
  end: () => Promise<void>;
}

/** Without a terminal every new state or step is a line. */
export function startJobProgress(
  io: Io,
  management: Pick<Management, 'percentOf'>,
  isQuiet: boolean,
): JobProgress {
  const live = new LiveText(io, { isQuiet });
  const meter = new Meter();
  let seen = '';
  return {
    async see(job) {
      if (isQuiet) return;
      const { friendlyName, targetObjectName, state, stateDescription, tasks } = running.parse(
        job.properties,
      );
      const percent = await management.percentOf(job);
      const { perSecond, remainingSeconds } = meter.pace(percent, 100, live.nowMs());
      const said = stateDescription ?? state;
      const facts = [
        said,
        `${Math.floor(percent)} %`,
        ...(perSecond === undefined ? [] : [`${(perSecond * 60).toFixed(1)} %/min`]),
        ...(remainingSeconds === undefined ? [] : [`${formatDuration(remainingSeconds)} left`]),
      ].join(', ');
      const of = targetObjectName === null || targetObjectName === undefined ? '' : ` of ${targetObjectName}`;
      const steps = tasks.map((task) => `${icons[task.state] ?? ' '} ${task.friendlyName}: ${task.state}`);
      const news = JSON.stringify([said, steps]);
      const current = tasks.find((task) => task.state === 'InProgress')?.friendlyName;
      live.show([`${friendlyName}${of}: ${facts}`, ...steps], {
        isNews: news !== seen,
        plain: [`${job.name}: ${facts}${current === undefined ? '' : ` (${current})`}`],
      });
      seen = news;
    },
    end: () => live.end(),
  };
}

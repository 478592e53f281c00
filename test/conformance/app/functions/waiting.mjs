// Orchestrations that wait: for timers, for events, for somebody to end them.
import * as df from 'durable-functions';

const orchestration = (name, generator) => df.app.orchestration(name, generator);
const after = (context, delayMs) => new Date(context.df.currentUtcDateTime.getTime() + delayMs);

orchestration('timed', function* (context) {
  const { delayMs } = context.df.getInput();
  const startMs = context.df.currentUtcDateTime.getTime();
  yield context.df.createTimer(after(context, delayMs));
  return { waitedMs: context.df.currentUtcDateTime.getTime() - startMs };
});

orchestration('approval', function* (context) {
  const { timeoutMs } = context.df.getInput();
  const deadline = context.df.createTimer(after(context, timeoutMs));
  const approved = context.df.waitForExternalEvent('approve');
  if ((yield context.df.Task.any([approved, deadline])) === deadline) return 'timeout';
  deadline.cancel();
  return yield context.df.callActivity('echo', { approved: approved.result });
});

orchestration('collect', function* (context) {
  const payloads = [];
  for (const name of context.df.getInput().names) payloads.push(yield context.df.waitForExternalEvent(name));
  return payloads;
});

orchestration('parentOfWaiting', function* (context) {
  const child = context.df.callSubOrchestrator('collect', { names: ['go'] }, context.df.getInput().childId);
  yield context.df.callActivity('nothing');
  context.df.setCustomStatus('child started');
  return yield child;
});

/** Wrong on purpose: what it asks for depends on the clock of the machine. */
orchestration('undeterministic', function* (context) {
  return yield context.df.callActivity('echo', { at: process.hrtime.bigint().toString() });
});

orchestration('allOf', function* (context) {
  const { names } = context.df.getInput();
  return yield context.df.Task.all(names.map((name) => context.df.waitForExternalEvent(name)));
});

orchestration('reporting', function* (context) {
  context.df.setCustomStatus({ stage: 'first' });
  yield context.df.waitForExternalEvent('next');
  context.df.setCustomStatus({ stage: 'second', percent: 50 });
  yield context.df.waitForExternalEvent('next');
  return 'done';
});

orchestration('heartbeat', function* (context) {
  const { beat, pauseMs } = context.df.getInput();
  context.df.setCustomStatus({ beat });
  yield context.df.createTimer(after(context, pauseMs));
  context.df.continueAsNew({ beat: beat + 1, pauseMs });
});

/** Everything in one: what a long job of an app looks like. */
orchestration('journey', function* (context) {
  const { effects, prefix, delayMs } = context.df.getInput();
  const first = yield context.df.callActivity('record', { effects, key: `${prefix}-first` });
  yield context.df.createTimer(after(context, delayMs));
  const both = yield context.df.Task.all([
    context.df.callActivity('record', { effects, key: `${prefix}-left` }),
    context.df.callSubOrchestrator('sequence', { effects, keys: [`${prefix}-a`, `${prefix}-b`] }),
  ]);
  const decision = yield context.df.waitForExternalEvent('decide');
  const isRetriedWell = yield context.df.callActivityWithRetry('failTimes', new df.RetryOptions(10, 10), {
    effects,
    key: `${prefix}-flaky`,
    times: 1,
  });
  return { first, both, decision, isRetriedWell };
});

// The app of the Durable tests: every kind of orchestration, on the real @azure/functions and durable-functions.
// Activities leave their side effects in `globalThis.durableRuns`, which the tests read.
import * as df from 'durable-functions';

globalThis.durableRuns ??= [];
globalThis.durableGates ??= new Map();

df.app.setExceptionPropertiesProvider({ getExceptionProperties: (error) => error?.properties });

const activity = (name, handler) => df.app.activity(name, { handler });
const orchestration = (name, generator) => df.app.orchestration(name, generator);

activity('echo', (input) => {
  globalThis.durableRuns.push(input);
  return input;
});
activity('describe', (input) => ({ type: typeof input, value: input ?? null }));
activity('nothing', () => undefined);
activity('failTyped', (input) => {
  throw Object.assign(new Error(`typed ${input}`), {
    name: 'QuotaError',
    properties: { kind: 'fatal', input },
  });
});
activity('blank', (input) => 'x'.repeat(input));
activity('fail', (input) => {
  throw new Error(`no ${input}`);
});
activity('failTimes', ({ key, times }) => {
  globalThis.durableRuns.push(key);
  const count = globalThis.durableRuns.filter((one) => one === key).length;
  if (count <= times) throw new Error(`attempt ${count} of ${key}`);
  return count;
});
activity('gated', async (key) => {
  globalThis.durableRuns.push(`start ${key}`);
  await globalThis.durableGates.get(key);
  globalThis.durableRuns.push(`end ${key}`);
  return key;
});

orchestration('sequence', function* (context) {
  const { keys } = context.df.getInput();
  const results = [];
  for (const key of keys) results.push(yield context.df.callActivity('echo', key));
  return results;
});

orchestration('fanOut', function* (context) {
  const { count, prefix } = context.df.getInput();
  const tasks = Array.from({ length: count }, (_, index) =>
    context.df.callActivity('echo', `${prefix}${index}`),
  );
  return yield context.df.Task.all(tasks);
});

orchestration('inputs', function* (context) {
  const results = [];
  for (const input of [{ a: 1 }, 'text', '5', 5, true, null, [1, 2], 'tr"ue']) {
    results.push(yield context.df.callActivity('describe', input));
  }
  results.push(yield context.df.callActivity('nothing'));
  return results;
});

orchestration('inspect', function* (context) {
  context.df.setCustomStatus({ stage: 'looking' });
  yield context.df.callActivity('echo', `inspect ${context.df.instanceId}`);
  return {
    input: context.df.getInput() ?? null,
    parent: context.df.parentInstanceId ?? null,
    version: context.df.version,
  };
});

orchestration('failing', function* (context) {
  yield context.df.callActivity('fail', 'luck');
});

orchestration('settled', function* (context) {
  try {
    yield context.df.callActivity('fail', 'luck');
  } catch (error) {
    return error.message.split('\n')[0].trim();
  }
  return 'unexpected';
});

orchestration('typedFailure', function* (context) {
  try {
    yield context.df.callActivity('failTyped', 1);
  } catch (error) {
    if (context.df.getInput()?.rethrow) throw error;
    const { errorType, errorMessage, properties } = error.failureDetails;
    return { errorType, errorMessage, properties };
  }
  return 'unexpected';
});

orchestration('typedChildFailure', function* (context) {
  try {
    yield context.df.callSubOrchestrator('typedFailure', { rethrow: true });
  } catch (error) {
    return error.failureDetails.properties;
  }
  return 'unexpected';
});

orchestration('forgetful', function* (context) {
  const { round } = context.df.getInput();
  const first = yield context.df.waitForExternalEvent('item');
  if (round === 1) {
    context.df.continueAsNew({ round: 2 });
    return undefined;
  }
  return first;
});

orchestration('retried', function* (context) {
  const { key, times, attempts } = context.df.getInput();
  const policy = new df.RetryOptions(10, attempts);
  const value = yield context.df.callActivityWithRetry('failTimes', policy, { key, times });
  const after = yield context.df.callActivity('echo', `after ${key}`);
  return { value, after };
});

orchestration('timed', function* (context) {
  const before = context.df.currentUtcDateTime;
  yield context.df.createTimer(new Date(before.getTime() + context.df.getInput().delayMs));
  return context.df.currentUtcDateTime.getTime() - before.getTime();
});

orchestration('approval', function* (context) {
  const { timeoutMs } = context.df.getInput();
  const deadline = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + timeoutMs));
  const approved = context.df.waitForExternalEvent('approve');
  const winner = yield context.df.Task.any([approved, deadline]);
  if (winner === deadline) return 'timeout';
  deadline.cancel();
  const echoed = yield context.df.callActivity('echo', `approved ${context.df.instanceId}`);
  return { payload: approved.result ?? null, echoed };
});

orchestration('collect', function* (context) {
  const { count } = context.df.getInput();
  const payloads = [];
  for (let i = 0; i < count; i++) payloads.push(yield context.df.waitForExternalEvent('item'));
  return payloads;
});

orchestration('waitsTwice', function* (context) {
  context.df.setCustomStatus('waiting');
  return yield context.df.Task.all([
    context.df.waitForExternalEvent('go'),
    context.df.waitForExternalEvent('go'),
  ]);
});

orchestration('parent', function* (context) {
  const { keys, childId } = context.df.getInput();
  const tasks = keys.map((key, i) =>
    context.df.callSubOrchestrator(
      'sequence',
      { keys: [`${key}1`, `${key}2`] },
      childId && i === 0 ? childId : undefined,
    ),
  );
  return yield context.df.Task.all(tasks);
});

orchestration('parentOfInspect', function* (context) {
  return yield context.df.callSubOrchestrator('inspect', { from: 'parent' });
});

orchestration('parentOfFailing', function* (context) {
  try {
    yield context.df.callSubOrchestrator('failing', null);
  } catch (error) {
    return error.message.split('\n')[0].trim();
  }
  return 'unexpected';
});

orchestration('childFailsTwice', function* (context) {
  return yield context.df.callActivity('failTimes', context.df.getInput());
});

orchestration('parentWithRetry', function* (context) {
  const { key, times, attempts } = context.df.getInput();
  return yield context.df.callSubOrchestratorWithRetry('childFailsTwice', new df.RetryOptions(10, attempts), {
    key,
    times,
  });
});

orchestration('eternal', function* (context) {
  const { round, rounds, seen } = context.df.getInput();
  const value = yield context.df.callActivity('echo', `${context.df.instanceId} round ${round}`);
  if (round < rounds) {
    context.df.continueAsNew({ round: round + 1, rounds, seen: [...seen, value] });
    return undefined;
  }
  return [...seen, value];
});

orchestration('large', function* (context) {
  const { size } = context.df.getInput();
  const text = yield context.df.callActivity('blank', size);
  const again = yield context.df.callActivity('echo', text);
  return { length: text.length, again };
});

orchestration('gatedOnce', function* (context) {
  return yield context.df.callActivity('gated', context.df.getInput().key);
});

orchestration('everything', function* (context) {
  const { key } = context.df.getInput();
  const first = yield context.df.callActivity('echo', `${key} first`);
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 5));
  const both = yield context.df.Task.all([
    context.df.callActivity('echo', `${key} left`),
    context.df.callSubOrchestrator('sequence', { keys: [`${key} child`] }),
  ]);
  const decided = yield context.df.waitForExternalEvent('go');
  const retried = yield context.df.callActivityWithRetry('failTimes', new df.RetryOptions(5, 10), {
    key: `${key} flaky`,
    times: 1,
  });
  return { first, both, decided, retried: retried > 1 };
});

let nondeterministicRuns = 0;
orchestration('nondeterministic', function* (context) {
  const order = nondeterministicRuns++ % 2 === 0 ? ['echo', 'describe'] : ['describe', 'echo'];
  for (const name of order) yield context.df.callActivity(name, 'x');
  return 'finished';
});

orchestration('clockReader', function* (context) {
  yield context.df.callActivity('echo', `${process.hrtime.bigint()}`);
  return 'finished';
});

orchestration('taskReuse', function* (context) {
  const open = context.df.callActivity('gated', 'reuse');
  yield context.df.Task.any([context.df.callActivity('echo', 'reuse 1'), open]);
  yield context.df.Task.any([context.df.callActivity('echo', 'reuse 2'), open]);
  return 'finished';
});

orchestration('callsHttp', function* (context) {
  return yield context.df.callHttp({ method: 'GET', url: 'http://127.0.0.1:1/' });
});

orchestration('callsUnknown', function* (context) {
  return yield context.df.callActivity('missing', 1);
});

orchestration('chatty', function* (context) {
  context.df.setCustomStatus('x'.repeat(9000));
  return yield context.df.callActivity('echo', 1);
});

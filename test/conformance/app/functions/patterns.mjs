// Orchestrations that run by themselves: chains, fan-out, retries, sub-orchestrations, continueAsNew, large payloads.
import * as df from 'durable-functions';

const orchestration = (name, generator) => df.app.orchestration(name, generator);

orchestration('sequence', function* (context) {
  const { effects, keys } = context.df.getInput();
  const results = [];
  for (const key of keys) results.push(yield context.df.callActivity('record', { effects, key }));
  return results;
});

orchestration('echoes', function* (context) {
  const { count } = context.df.getInput();
  let sum = 0;
  for (let number = 1; number <= count; number++) sum += yield context.df.callActivity('echo', number);
  return sum;
});

orchestration('fanOut', function* (context) {
  const { effects, keys } = context.df.getInput();
  return yield context.df.Task.all(keys.map((key) => context.df.callActivity('record', { effects, key })));
});

orchestration('inputs', function* (context) {
  const results = [];
  for (const input of [{ a: 1 }, [1, 2], 'text', 5, null])
    results.push(yield context.df.callActivity('describe', input));
  results.push(yield context.df.callActivity('nothing'));
  return results;
});

orchestration('failing', function* (context) {
  return yield context.df.callActivity('fail', { why: context.df.getInput().why });
});

orchestration('caught', function* (context) {
  try {
    return yield context.df.callActivity('fail', { why: context.df.getInput().why });
  } catch (error) {
    return `caught: ${error.message}`;
  }
});

orchestration('retried', function* (context) {
  const { effects, key, times, attempts } = context.df.getInput();
  const policy = new df.RetryOptions(20, attempts);
  const done = yield context.df.callActivityWithRetry('failTimes', policy, { effects, key, times });
  const after = yield context.df.callActivity('record', { effects, key: `after-${key}` });
  return { done, after };
});

orchestration('parent', function* (context) {
  const { effects, groups } = context.df.getInput();
  const children = groups.map((keys) => context.df.callSubOrchestrator('sequence', { effects, keys }));
  return yield context.df.Task.all(children);
});

orchestration('namedChild', function* (context) {
  const { effects, childId } = context.df.getInput();
  return yield context.df.callSubOrchestrator('sequence', { effects, keys: [childId] }, childId);
});

orchestration('parentOfFailing', function* (context) {
  try {
    return yield context.df.callSubOrchestrator('failing', { why: context.df.getInput().why });
  } catch (error) {
    return `caught: ${error.message}`;
  }
});

orchestration('flakyChild', function* (context) {
  return yield context.df.callActivity('failTimes', context.df.getInput());
});

orchestration('parentWithRetry', function* (context) {
  const { attempts, ...input } = context.df.getInput();
  const policy = new df.RetryOptions(20, attempts);
  return yield context.df.callSubOrchestratorWithRetry('flakyChild', policy, input);
});

orchestration('rounds', function* (context) {
  const { effects, prefix, round, rounds, seen } = context.df.getInput();
  const result = yield context.df.callActivity('record', { effects, key: `${prefix}${round}` });
  if (round < rounds) {
    context.df.continueAsNew({ effects, prefix, round: round + 1, rounds, seen: [...seen, result] });
    return undefined;
  }
  return [...seen, result];
});

orchestration('large', function* (context) {
  const { text, length } = context.df.getInput();
  const made = yield context.df.callActivity('blank', { length });
  const echoed = yield context.df.callActivity('echo', { text: made });
  return { inputLength: text.length, made: echoed.text };
});

orchestration('inspect', function* (context) {
  yield context.df.callActivity('nothing');
  const { instanceId, parentInstanceId } = context.df;
  return { instanceId, parentInstanceId: parentInstanceId ?? null };
});

orchestration('parentOfInspect', function* (context) {
  return yield context.df.callSubOrchestrator('inspect', {});
});

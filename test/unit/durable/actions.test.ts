// Reading an orchestrator's report: the SDK's JSON in, typed actions out, and clear words for anything else.
import { expect, test } from 'vitest';
import { findStateInErrorMessage, parseOrchestratorState } from '../../../local/durable/actions.ts';

const report = (more: object) => JSON.stringify({ isDone: false, actions: [[]], ...more });

test('actions are read with what they carry', () => {
  const retryOptions = { firstRetryIntervalInMilliseconds: 1, maxNumberOfAttempts: 2 };
  const { actions } = parseOrchestratorState(
    report({
      actions: [
        [
          { actionType: 0, functionName: 'a', input: '"x"' },
          { actionType: 1, functionName: 'b', retryOptions },
          { actionType: 3, functionName: 'c', instanceId: 'id', input: [1], retryOptions },
          { actionType: 11, compoundActions: [{ actionType: 6, externalEventName: 'e' }] },
          { actionType: 5, fireAt: '2030-01-01T00:00:00.000Z', isCanceled: true },
          { actionType: 8, httpRequest: {} },
        ],
      ],
    }),
  );
  expect(actions).toEqual([
    { kind: 'activity', functionName: 'a', input: '"x"' },
    { kind: 'activity', functionName: 'b', input: undefined, retry: retryOptions },
    { kind: 'subOrchestration', functionName: 'c', instanceId: 'id', input: [1], retry: retryOptions },
    { kind: 'any', children: [{ kind: 'externalEvent', eventName: 'e' }] },
    { kind: 'timer', fireAt: '2030-01-01T00:00:00.000Z', isCanceled: true },
    { kind: 'unsupported', what: 'context.df.callHttp' },
  ]);
});

test.each([
  ['"text" input', '"\\"text\\""', '"text"'],
  ['object input', '{"a":1}', '{"a":1}'],
])('the input of continueAsNew is JSON text: %s', (_case, sent, expected) => {
  const { actions } = parseOrchestratorState(
    `{"isDone":true,"actions":[[{"actionType":4,"input":${sent}}]]}`,
  );
  expect(actions).toEqual([{ kind: 'continueAsNew', input: expected }]);
});

test('an ended orchestrator reports its output, status and error', () => {
  expect(parseOrchestratorState(report({ isDone: true, output: { a: 1 }, customStatus: 'c' }))).toEqual({
    isDone: true,
    actions: [],
    output: '{"a":1}',
    customStatus: '"c"',
  });
  expect(parseOrchestratorState(report({ error: 'bad' }))).toMatchObject({
    isDone: false,
    output: 'null',
    error: 'bad',
  });
});

test('what is no report is refused by name', () => {
  expect(() => parseOrchestratorState('"hello"')).toThrow(/returned "hello", which has no list of actions/);
  expect(() => parseOrchestratorState(report({ actions: [[{ actionType: 0 }]] }))).toThrow(
    /action has no functionName/,
  );
  expect(() => parseOrchestratorState(report({ actions: [[{ actionType: 5, fireAt: 'soon' }]] }))).toThrow(
    /fireAt .* no date: soon/,
  );
});

test('the state behind the mark in an error message is found', () => {
  expect(findStateInErrorMessage('false\n\n$OutOfProcData$:{"a":1}')).toBe('{"a":1}');
  expect(findStateInErrorMessage('plain')).toBeUndefined();
});

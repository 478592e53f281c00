// Instances from the outside: starting, one of a kind, suspending, resuming, terminating, restarting, purging, status codes.
import { describe, expect } from 'vitest';
import type { Links, Orchestrations } from '../orchestrations.ts';
import { type Access, holds, holdsHere } from './case.ts';

const httpApi = 'HTTP API reference for Durable Functions';
const instances = 'Manage instances in Durable Functions';
const singleton = 'Singleton orchestrators in Durable Functions';

export function controlCases(access: Access): void {
  describe('instances', () => {
    const orchestrations = (): Orchestrations => access().orchestrations;
    const startWaiting = async (id = access().unique('waiting')): Promise<string> => {
      await orchestrations().start('collect', { names: ['go'] }, id);
      await orchestrations().until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
      return id;
    };
    const restart = (id: string, isNewId: boolean): Promise<Response> =>
      fetch(`${orchestrations().link('restartPostUri', id)}&restartWithNewInstanceId=${isNewId}`, {
        method: 'POST',
      });

    holds('a start is answered with 202 and links to the new instance', httpApi, async () => {
      const id = access().unique('linked');
      const response = await orchestrations().tryStart('collect', { names: ['go'] }, id);
      const links = (await response.json()) as Links;
      expect([response.status, links.id]).toEqual([202, id]);
      expect(response.headers.get('location')).toBe(links.statusQueryGetUri);
      const init = { method: 'POST', body: '"by link"', headers: { 'content-type': 'application/json' } };
      expect((await fetch(links.sendEventPostUri.replace('{eventName}', 'go'), init)).status).toBe(202);
      expect((await orchestrations().finish(id)).output).toEqual(['by link']);
    });

    holds('a status is 202 while the instance runs, 200 at its end, 404 when unknown', httpApi, async () => {
      const id = await startWaiting();
      const codeOf = async (each: string): Promise<number> =>
        (await fetch(orchestrations().link('statusQueryGetUri', each))).status;
      expect(await codeOf(id)).toBe(202);
      await orchestrations().raise(id, 'go');
      await orchestrations().finish(id);
      expect(await codeOf(id)).toBe(200);
      expect(await codeOf(access().unique('unknown'))).toBe(404);
    });

    holds('a failed instance is 500 when that is asked for', httpApi, async () => {
      const { instanceId } = await orchestrations().run('failing', { why: 'reason' });
      const link = orchestrations().link('statusQueryGetUri', instanceId);
      expect((await fetch(`${link}&returnInternalServerErrorOnFailure=true`)).status).toBe(500);
    });

    holds('an id that is running cannot be started again, a finished one can', singleton, async () => {
      const id = await startWaiting();
      expect((await orchestrations().tryStart('collect', { names: ['go'] }, id)).status).toBe(409);
      await orchestrations().raise(id, 'go', 1);
      await orchestrations().finish(id);
      await startWaiting(id);
      await orchestrations().raise(id, 'go', 2);
      expect((await orchestrations().finish(id)).output).toEqual([2]);
    });

    holds('an orchestrator that the app does not have cannot be started', httpApi, async () => {
      const response = await orchestrations().tryStart('nowhere');
      expect(response.status).toBe(400);
      expect(await response.text()).toContain('nowhere');
    });

    holds('a suspended instance keeps its events and goes on when it is resumed', instances, async () => {
      const id = await startWaiting();
      expect(await orchestrations().control(id, 'suspend', 'lunch')).toBe(202);
      await orchestrations().until(id, ({ runtimeStatus }) => runtimeStatus === 'Suspended');
      expect(await orchestrations().raise(id, 'go', 'meanwhile')).toBe(202);
      expect((await orchestrations().getStatus(id)).runtimeStatus).toBe('Suspended');
      expect(await orchestrations().control(id, 'resume')).toBe(202);
      expect((await orchestrations().finish(id)).output).toEqual(['meanwhile']);
    });

    holds(
      'a terminated instance has the reason as its output, and takes nothing any more',
      instances,
      async () => {
        const id = await startWaiting();
        expect(await orchestrations().control(id, 'terminate', 'no longer needed')).toBe(202);
        expect(await orchestrations().finish(id)).toMatchObject({
          ...{ runtimeStatus: 'Terminated', output: 'no longer needed' },
        });
        for (const verb of ['terminate', 'suspend', 'resume'] as const) {
          expect(await orchestrations().control(id, verb), verb).toBe(410);
          expect(await orchestrations().control(access().unique('unknown'), verb), verb).toBe(404);
        }
      },
    );

    holds('terminating an instance leaves its sub-orchestrations running', instances, async () => {
      const childId = access().unique('orphan');
      const parentId = await orchestrations().start('parentOfWaiting', { childId });
      await orchestrations().until(parentId, ({ customStatus }) => customStatus === 'child started');
      await orchestrations().control(parentId, 'terminate');
      await orchestrations().finish(parentId);
      await orchestrations().raise(childId, 'go', 'alive');
      expect((await orchestrations().finish(childId)).output).toEqual(['alive']);
    });

    holds('a restart runs the same input under a new id, or under the old one', instances, async () => {
      const { instanceId } = await orchestrations().run('echoes', { count: 4 });
      const { id } = (await (await restart(instanceId, true)).json()) as Links;
      expect(id).not.toBe(instanceId);
      expect((await orchestrations().finish(id)).output).toBe(10);
      expect((await restart(instanceId, false)).status).toBe(202);
      expect((await orchestrations().finish(instanceId)).output).toBe(10);
    });

    holds('a query finds instances by prefix and status, page by page', httpApi, async () => {
      const prefix = access().unique('queried');
      const waiting = [1, 2, 3, 4, 5].map((number) => `${prefix}-${number}`);
      for (const id of waiting) await startWaiting(id);
      const ended = await orchestrations().start('collect', { names: [] }, `${prefix}-6`);
      await orchestrations().finish(ended);
      const query = (rest: string): Promise<{ ids: string[]; pageCount: number }> =>
        orchestrations().list(`instanceIdPrefix=${prefix}&${rest}`);
      const running = await query('runtimeStatus=Running&top=2');
      expect(running.ids.sort()).toEqual(waiting);
      expect(running.pageCount).toBeGreaterThanOrEqual(3);
      expect((await query('runtimeStatus=Completed')).ids).toEqual([ended]);
    });

    holds('a purged instance is gone', instances, async () => {
      const { instanceId } = await orchestrations().run('large', { text: 'x', length: 100_000 });
      const purge = (): Promise<Response> =>
        fetch(orchestrations().link('purgeHistoryDeleteUri', instanceId), { method: 'DELETE' });
      expect(await (await purge()).json()).toMatchObject({ instancesDeleted: 1 });
      expect(await orchestrations().findStatus(instanceId)).toBeUndefined();
      expect((await purge()).status).toBe(404);
    });

    holds('a status shows input and history as asked', httpApi, async () => {
      const { instanceId } = await orchestrations().run('echoes', { count: 2 });
      expect((await orchestrations().getStatus(instanceId, 'showInput=false')).input).toBeNull();
      const { historyEvents } = await orchestrations().getStatus(
        instanceId,
        'showHistory=true&showHistoryOutput=true',
      );
      expect(
        historyEvents?.map(({ EventType, FunctionName, Result }) => [EventType, FunctionName, Result]),
      ).toEqual([
        ['ExecutionStarted', 'echoes', undefined],
        ['TaskCompleted', 'echo', 1],
        ['TaskCompleted', 'echo', 2],
        ['ExecutionCompleted', undefined, 3],
      ]);
    });

    holdsHere(
      'an orchestrator that is not deterministic fails and says so',
      'docs/local-durable.md',
      async () => {
        const { runtimeStatus, output } = await orchestrations().run('undeterministic');
        expect(runtimeStatus).toBe('Failed');
        expect(output).toMatch(/strict mode.*two different results/);
      },
    );
  });
}

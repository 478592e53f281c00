// The contract beyond single resources: repetitions, conditions, paging, filters, polling, audit.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../lib/api/filter/filter.ts';
import type { Fields } from '../../lib/api/filter/filter.ts';
import { pollSeconds } from '../../lib/api/arm.ts';
import { answerOnce, requestsPartition } from '../../lib/api/repetition.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import { adminKey, configureSite, enableBody, publicUrl, testApi, vault } from '../support/api.ts';
import { completeWorld, properties, values } from '../support/apiWorld.ts';
import { ManualClock, hourMs } from '../support/manualClock.ts';
import { testContext } from '../support/protectedVm.ts';

const owner = { authorization: `Bearer ${adminKey}` };
const codeOf = (response: ApiResponse) => (response.body as { error: { code: string } }).error.code;
const nextLinkOf = (response: ApiResponse) => (response.body as { nextLink: string | null }).nextLink;
const withId = (id: string) => ({ ...owner, 'x-ms-client-request-id': id });

function timedApi() {
  const clock = new ManualClock('2026-01-15T23:50:00Z');
  return { api: testApi({ ...testContext(), clock }), clock };
}

describe('a repeated request', () => {
  const policies = `${vault}/replicationPolicies`;

  it('gets the first answer and makes no second job, for a day, also past midnight', async () => {
    const { api, clock } = timedApi();
    const put = () => api.call('PUT', `${policies}/p`, {}, withId('one'));
    const first = await put();
    clock.advance(23 * hourMs);
    const again = await put();
    expect(again.headers).toEqual({ ...first.headers });
    expect(values(await api.call('GET', `${vault}/replicationJobs`))).toHaveLength(1);
    clock.advance(2 * hourMs);
    expect((await put()).headers?.['location']).not.toBe(first.headers?.['location']);
    expect(values(await api.call('GET', `${vault}/replicationJobs`))).toHaveLength(2);
  });

  it('is another one when its id, verb, path, query, body or caller is another', async () => {
    const { api } = timedApi();
    const body = { properties: {} };
    const calls: [string, string, unknown, Record<string, string>][] = [
      ['PUT', `${policies}/p`, body, withId('one')],
      ['PUT', `${policies}/p`, body, withId('two')],
      ['PATCH', `${policies}/p`, body, withId('one')],
      ['PUT', `${policies}/q`, body, withId('one')],
      ['PUT', `${policies}/p?api-version=2024-01-01`, body, withId('one')],
      ['PUT', `${policies}/p`, {}, withId('one')],
      ['PUT', `${policies}/p`, body, owner],
      ['PUT', `${policies}/p`, body, owner],
    ];
    for (const call of calls) expect((await api.call(...call)).status).toBe(202);
    expect(values(await api.call('GET', `${vault}/replicationJobs`))).toHaveLength(calls.length);
  });

  it('runs again when the first time failed', async () => {
    const { api } = timedApi();
    const remove = () => api.call('DELETE', `${policies}/p`, undefined, withId('one'));
    expect((await remove()).status).toBe(404);
    await api.call('PUT', `${policies}/p`, {});
    expect((await remove()).status).toBe(202);
    // Though the policy is gone now: the lost answer is what the caller needs.
    expect((await remove()).status).toBe(202);
  });

  it('makes one job of many that come at the same moment', async () => {
    const { api } = timedApi();
    const container = await configureSite(api);
    const put = () =>
      api.call('PUT', `${container}/replicationProtectedItems/vm-1`, enableBody(container), withId('same'));
    const answers = await Promise.all(Array.from({ length: 8 }, put));
    expect(answers.filter(({ status }) => status === 202).length).toBeGreaterThanOrEqual(1);
    for (const { status, headers } of answers.filter((each) => each.status !== 202))
      expect([status, headers?.['retry-after']]).toEqual([503, '2']);
    expect((await put()).status).toBe(202);
    const jobs = values(await api.call('GET', `${vault}/replicationJobs?$filter=JobName eq 'EnableDr'`));
    expect(jobs).toHaveLength(1);
  });

  it('is taken up by another process when the first one died, after a minute', async () => {
    const { access } = memoryStorage();
    const about = { clientRequestId: 'x', caller: 'c', method: 'PUT', path: '/p', query: '', body: '' };
    const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));
    const never = new Promise<ApiResponse>(() => undefined);
    void answerOnce(access, about, at(0), () => never);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = answerOnce(access, about, at(30), async () => ({ status: 202 }));
    await expect(second).rejects.toMatchObject({ code: 'StorageUnavailable' });
    const third = await answerOnce(access, about, at(61), async () => ({ status: 202, headers: { a: 'b' } }));
    expect(third).toEqual({ response: { status: 202, headers: { a: 'b' } }, isRepetition: false });
    const rows = [];
    for await (const row of access.list(requestsPartition(at(0)))) rows.push(row);
    expect(rows).toHaveLength(1);
  });

  it('never keeps a secret: a registration key is made anew', async () => {
    const { api } = timedApi();
    await configureSite(api);
    const make = async () => {
      const made = await api.call('POST', '/lifeboat/v1/sites/site1/registrationKeys', {}, withId('one'));
      return (made.body as { registrationKey: string }).registrationKey;
    };
    expect(await make()).not.toBe(await make());
  });
});

describe('If-Match', () => {
  const path = `${vault}/replicationPolicies/p`;

  it('lets one of two changes win', async () => {
    const { api } = timedApi();
    await api.call('PUT', path, {});
    const etag = (await api.call('GET', path)).headers?.['etag'] ?? '';
    expect(etag).toMatch(/^"[\w-]+"$/);
    const update = (seconds: number, ifMatch: string) =>
      api.call(
        'PATCH',
        path,
        { properties: { replicationProviderSettings: { replicationInterval: seconds } } },
        { ...owner, 'if-match': ifMatch },
      );
    expect((await update(60, etag)).status).toBe(202);
    const late = await update(90, etag);
    expect([late.status, codeOf(late)]).toEqual([412, 'ConditionNotMet']);
    expect(properties(await api.call('GET', path))['providerSpecificDetails']).toMatchObject({
      replicationInterval: 60,
    });
    expect((await update(90, '*')).status).toBe(202);
    expect((await update(30, '"a", W/"b"')).status).toBe(412);
  });

  it('* does not make what does not exist, nor delete what another made since', async () => {
    const { api } = timedApi();
    const put = await api.call('PUT', path, {}, { ...owner, 'if-match': '*' });
    expect(codeOf(put)).toBe('ConditionNotMet');
    await api.call('PUT', path, {});
    const etag = (await api.call('GET', path)).headers?.['etag'] ?? '';
    await api.call('PUT', path, { properties: { providerSpecificInput: { replicationInterval: 60 } } });
    const gone = await api.call('DELETE', path, undefined, { ...owner, 'if-match': etag });
    expect(codeOf(gone)).toBe('ConditionNotMet');
  });
});

describe('pages', () => {
  async function readAll(
    api: ReturnType<typeof testApi>,
    first: string,
  ): Promise<{ names: string[]; pages: number }> {
    const names: string[] = [];
    let pages = 0;
    for (let path: string | null = first; path !== null; pages++) {
      const answer = await api.call('GET', path);
      expect(answer.status).toBe(200);
      names.push(...values(answer).map(({ name }) => String(name)));
      path = nextLinkOf(answer)?.slice(publicUrl.length) ?? null;
    }
    return { names, pages };
  }

  it('show every entry once, whatever their size, and carry filter and version along', async () => {
    const { api, clock } = timedApi();
    for (let count = 0; count < 23; count++) {
      await api.call('PUT', `${vault}/replicationPolicies/p${count % 5}`, {});
      clock.advance(1000);
    }
    const jobs = `${vault}/replicationJobs?api-version=2024-04-01&$filter=${encodeURIComponent("JobStatus eq 'Succeeded'")}`;
    for (const take of [1, 7, 23, 24, 500]) {
      const { names, pages } = await readAll(api, `${jobs}&$take=${take}`);
      expect(new Set(names).size).toBe(23);
      expect(names).toHaveLength(23);
      expect(pages).toBe(Math.ceil(23 / take));
    }
    const first = nextLinkOf(await api.call('GET', `${jobs}&$take=5`)) ?? '';
    expect(first.startsWith(`${publicUrl}${vault}/replicationJobs?`)).toBe(true);
    expect(new URL(first).searchParams.get('api-version')).toBe('2024-04-01');
    expect(new URL(first).searchParams.get('$filter')).toBe("JobStatus eq 'Succeeded'");
  });

  it('are stable while entries come and go', async () => {
    const { api, clock } = timedApi();
    for (let count = 0; count < 6; count++) {
      await api.call('PUT', `${vault}/replicationPolicies/p`, {});
      clock.advance(1000);
    }
    const first = await api.call('GET', `${vault}/replicationJobs?$take=3`);
    await api.call('PUT', `${vault}/replicationPolicies/p`, {});
    const rest = await readAll(api, nextLinkOf(first)?.slice(publicUrl.length) ?? '');
    expect([...values(first).map(({ name }) => name), ...rest.names]).toHaveLength(6);
  });

  it.each(['0', '-1', 'many', '1e3', ''])('$take=%s is refused', async (take) => {
    const answer = await testApi().call('GET', `${vault}/replicationPolicies?$take=${take}`);
    expect(codeOf(answer)).toBe('InvalidRequest');
  });

  it('of jobs go by time: StartTime and EndTime are from and until, as Site Recovery has them', async () => {
    const { api, clock } = timedApi();
    const times: string[] = [];
    for (let count = 0; count < 5; count++) {
      times.push(clock.now().toISOString());
      await api.call('PUT', `${vault}/replicationPolicies/p`, {});
      clock.advance(48 * hourMs);
    }
    const filter = encodeURIComponent(`StartTime eq '${times[1]}' and EndTime eq '${times[3]}'`);
    const answer = await api.call('GET', `${vault}/replicationJobs?$filter=${filter}`);
    const found = values(answer).map((job) => (job['properties'] as { startTime: string }).startTime);
    expect(found).toEqual([times[3], times[2], times[1]]);
  });

  it('of protected items can be filtered by plan, site and machine', async () => {
    const { api } = await completeWorld();
    const named = async (filter: string) =>
      values(
        await api.call('GET', `${vault}/replicationProtectedItems?$filter=${encodeURIComponent(filter)}`),
      ).map(({ name }) => name);
    expect(await named("recoveryPlanName eq 'plan1'")).toEqual(['vm-1']);
    expect(await named("sourceFabricName eq 'SITE1' and fabricObjectId eq 'vm-1'")).toEqual(['vm-1']);
    expect(await named("sourceFabricName eq 'other' or instanceType eq 'InMage'")).toEqual([]);
    expect(await named("not (protectionState eq 'Protected')")).toEqual([]);
  });
});

describe('the filter language', () => {
  interface Thing {
    name: string | null;
    size: number;
    tags: string[];
    at: string;
  }
  const fields: Fields<Thing> = {
    Name: { kind: 'text', of: ({ name }) => name },
    Size: { kind: 'text', of: ({ size }) => size },
    Tags: { kind: 'text', of: ({ tags }) => tags },
    At: { kind: 'time', of: ({ at }) => at },
  };
  const thing: Thing = { name: "O'Brien", size: 7, tags: ['red', 'Blue'], at: '2026-01-02T00:00:00Z' };

  it.each<[string, boolean]>([
    ["Name eq 'o''brien'", true],
    ["name ne 'x' and SIZE gt 6", true],
    ["Name eq 'x' or Size eq 7 and Tags eq 'blue'", true],
    ["(Name eq 'x' or Size eq 7) and Tags eq 'green'", false],
    ["not Name eq 'x'", true],
    ['Size in (1, 7)', true],
    ["contains(Name, 'brien') and startswith(Name,'O') and endswith(Name, 'N')", true],
    ['At ge 2026-01-02T00:00:00Z', true],
    ["At lt '2026-01-02'", false],
    ["At gt '2026-01-01T23:59:59+00:00'", true],
    ['Name eq null', false],
    ['Size le -1', false],
  ])('%s is %s', (text, expected) => {
    expect(compileFilter(text, fields)?.matches(thing)).toBe(expected);
  });

  it('gives a verdict or a clear error for any text', () => {
    const words = fc.constantFrom(
      'Name',
      'Size',
      'At',
      'eq',
      'and',
      'or',
      'not',
      '(',
      ')',
      "'a'",
      '1',
      'in',
      ',',
      'null',
      "'",
      'contains',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(words, { maxLength: 30 }).map((all) => all.join(' ')),
          fc.string({ maxLength: 80 }),
        ),
        (text) => {
          try {
            expect(typeof (compileFilter(text, fields)?.matches(thing) ?? true)).toBe('boolean');
          } catch (error) {
            expect(error).toMatchObject({ code: 'InvalidRequest', target: '$filter' });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('operations', () => {
  it('are asked about often at first, then less', () => {
    const createdAt = '2026-01-01T00:00:00Z';
    const after = (seconds: number) =>
      pollSeconds({ createdAt }, new Date(Date.parse(createdAt) + seconds * 1000));
    expect([0, 14, 30, 120, 3600].map(after)).toEqual([1, 1, 2, 5, 15]);
  });

  it('answer 204 as the result of a removal, and stay readable for days', async () => {
    const { api, clock } = timedApi();
    await api.call('PUT', `${vault}/replicationPolicies/p`, {});
    const removed = await api.call('DELETE', `${vault}/replicationPolicies/p`);
    clock.advance(72 * hourMs);
    const path = (url: string | undefined) => (url ?? '').slice(publicUrl.length);
    expect((await api.call('GET', path(removed.headers?.['location']))).status).toBe(204);
    const status = await api.call('GET', path(removed.headers?.['azure-asyncoperation']));
    expect(status.body).toMatchObject({ status: 'Succeeded' });
  });
});

describe('the audit', () => {
  it('has a row for every changing call, whatever came of it, and none for reads', async () => {
    const { api } = timedApi();
    const from = { 'x-forwarded-for': '203.0.113.9' };
    await api.call('PUT', `${vault}/replicationPolicies/p`, {}, { ...withId('one'), ...from });
    await api.call('PUT', `${vault}/replicationPolicies/p`, {}, { ...withId('one'), ...from });
    await api.call('DELETE', `${vault}/replicationPolicies/none`, undefined, owner);
    await api.call('DELETE', `${vault}/replicationPolicies/p`, undefined, { authorization: 'Bearer wrong' });
    await api.call('GET', `${vault}/replicationPolicies`);
    const audit = await api.call('GET', '/lifeboat/v1/audit');
    const rows = values(audit).map(({ method, status, error, callerName, address, isRepetition }) => [
      ...[method, status, error, callerName, address, isRepetition],
    ]);
    expect(rows).toHaveLength(4);
    expect(rows).toEqual(
      expect.arrayContaining([
        ['PUT', 202, null, 'administrator', '203.0.113.9', false],
        ['PUT', 202, null, 'administrator', '203.0.113.9', true],
        ['DELETE', 404, 'ResourceNotFound', 'administrator', 'test', false],
        ['DELETE', 401, 'Unauthorized', null, 'test', false],
      ]),
    );
    const filtered = await api.call(
      'GET',
      `/lifeboat/v1/audit?day=2026-01-15&$filter=${encodeURIComponent('status eq 401')}`,
    );
    expect(values(filtered)).toHaveLength(1);
  });
});

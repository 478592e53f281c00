import { describe, expect, it } from 'vitest';
import { sweepAccess } from '../../lib/api/accessSweep.ts';
import { requestsPartition } from '../../lib/api/repetition.ts';
import { auditPartition } from '../../lib/auth/audit.ts';
import { assertionsPartition } from '../../lib/auth/hostTokens.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { TablePort } from '../../lib/storage/ports.ts';
import { hourMs } from '../support/manualClock.ts';

const now = new Date('2026-06-15T12:30:00Z');
const ago = (hours: number) => new Date(now.getTime() - hours * hourMs);

async function countIn(access: TablePort, partition: string): Promise<number> {
  let count = 0;
  for await (const { key } of access.list(partition)) count += key === '' ? 0 : 1;
  return count;
}

async function fill(access: TablePort, partition: string, rows = 3): Promise<string> {
  for (let row = 0; row < rows; row++)
    await access.transact(partition, [{ kind: 'insert', key: `row-${row}`, value: {} }]);
  return partition;
}

describe('the sweep of what is kept for a time only', () => {
  it('forgets what is over, and nothing that still counts', async () => {
    const { access } = memoryStorage();
    const over = [
      await fill(access, assertionsPartition(ago(2))),
      await fill(access, requestsPartition(ago(2 * 24))),
      await fill(
        access,
        auditPartition(
          ago(31 * 24)
            .toISOString()
            .slice(0, 10),
        ),
        200,
      ),
    ];
    const kept = [
      await fill(access, assertionsPartition(ago(1))),
      await fill(access, assertionsPartition(ago(-1))),
      await fill(access, requestsPartition(ago(24))),
      await fill(access, requestsPartition(now)),
      await fill(
        access,
        auditPartition(
          ago(30 * 24)
            .toISOString()
            .slice(0, 10),
        ),
      ),
      await fill(access, 'hosts'),
      await fill(access, 'registrationKeys'),
    ];
    expect(await sweepAccess(access, now, { auditDays: 30, limit: 1000 })).toBe(206);
    for (const partition of over) expect(await countIn(access, partition), partition).toBe(0);
    for (const partition of kept) expect(await countIn(access, partition), partition).toBe(3);
    expect(await sweepAccess(access, now, { auditDays: 30, limit: 1000 })).toBe(0);
  });

  it('stops at its limit and goes on the next time', async () => {
    const { access } = memoryStorage();
    const partition = await fill(access, requestsPartition(ago(72)), 250);
    const first = await sweepAccess(access, now, { auditDays: 30, limit: 100 });
    expect(first).toBeGreaterThanOrEqual(100);
    expect(first).toBeLessThan(250);
    await sweepAccess(access, now, { auditDays: 30, limit: 1000 });
    expect(await countIn(access, partition)).toBe(0);
  });
});

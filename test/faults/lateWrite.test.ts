// "A timed-out Put Page may still be applied": a write whose outcome was unknown lands long after newer attempts.
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../lib/errors.ts';
import { drainItem } from '../../lib/replication/drain.ts';
import type { PageBlobPort } from '../../lib/storage/ports.ts';
import { ProtectedVm } from '../support/protectedVm.ts';

type Write = () => Promise<void>;

/** Holds back the first page write: its caller sees a time-out, the write itself comes when the test says so. */
function holdingBackFirstWrite(replicas: PageBlobPort, held: Write[]): PageBlobPort {
  return new Proxy(replicas, {
    get(target, property: keyof PageBlobPort) {
      if (property !== 'writePages')
        return (target[property] as (...args: unknown[]) => unknown).bind(target);
      return async (...args: Parameters<PageBlobPort['writePages']>) => {
        if (held.length > 0) return target.writePages(...args);
        const [name, offsetBytes, data, fence] = args;
        const bytes = data.slice();
        held.push(() => target.writePages(name, offsetBytes, bytes, fence));
        throw new LifeboatError('StorageUnavailable', 'Put Page timed out');
      };
    },
  });
}

describe('a write of an older attempt that lands late', () => {
  it('is refused by the fence and changes nothing', async () => {
    const vm = await new ProtectedVm({ seed: 11, diskSizes: [2 ** 20] }).protect();
    const held: Write[] = [];
    const storage = { ...vm.storage, replicas: holdingBackFirstWrite(vm.storage.replicas, held) };
    const context = { ...vm.context, storage };
    await vm.upload(...vm.cutCycle());
    await expect(drainItem(context, vm.item)).rejects.toMatchObject({ code: 'StorageUnavailable' });
    await drainItem(context, vm.item);
    await vm.upload(...vm.cutCycle());
    await drainItem(context, vm.item);
    await expect(held[0]?.()).rejects.toMatchObject({ code: 'FenceLost' });
    await vm.upload(...vm.cutCycle());
    await drainItem(context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1, 2, 3]);
  });
});

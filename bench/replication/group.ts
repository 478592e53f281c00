// The product end to end on the local host, driven by a source host that has none of our code.
import type { BenchGroup } from '../measurements.ts';
import { benchMerge } from './merge.ts';
import { benchRecoveryPoint } from './recoveryPoint.ts';

export const replicationBench: BenchGroup = {
  what: 'the product on the local host: upload to recovery point, merge rate',
  async run(progress) {
    return [...(await benchRecoveryPoint(progress)), ...(await benchMerge(progress))];
  },
};

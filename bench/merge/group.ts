// The merge by itself: the adapters against Azurite, without triggers and functions around them.
import type { BenchGroup } from '../measurements.ts';
import { benchRequests } from './requests.ts';
import { benchSequential } from './sequential.ts';

export const mergeBench: BenchGroup = {
  what: 'the merge alone: rate against plain Put Pages, requests against the optimum',
  async run(progress) {
    return [...(await benchSequential(progress)), ...(await benchRequests(progress))];
  },
};

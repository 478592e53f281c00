// The log format and the merge without any storage service: planning, and applying to local files beside peers.
import type { BenchGroup } from '../measurements.ts';
import { benchLocalFiles } from './localFiles.ts';
import { benchPlan } from './planMillion.ts';

export const hrlBench: BenchGroup = {
  what: 'logs on local files: plan a million writes, create, apply beside qemu-img commit and rdiff patch',
  async run(progress) {
    return [...benchPlan(progress), ...(await benchLocalFiles(progress))];
  },
};

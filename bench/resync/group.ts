// Resynchronization of a local image without any service: what comparing costs beside reading, and what is shipped.
import type { BenchGroup } from '../measurements.ts';
import { benchScan } from './scan.ts';

export const resyncBench: BenchGroup = {
  what: 'comparing a 2 GiB image with the digests of its replica, beside reading it, sha256sum and rdiff delta',
  run: benchScan,
};

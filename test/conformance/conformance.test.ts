// The black-box suite: the app in ./app, driven through HTTP and storage only, against the embedded host or any other one
// (docs/conformance.md). Each case names the documented behaviour it holds the host to, and where that is documented.
import { beforeAll } from 'vitest';
import { blobCases } from './cases/blobs.ts';
import type { Conformance } from './cases/case.ts';
import { openConformance } from './cases/case.ts';
import { controlCases } from './cases/control.ts';
import { errorCases } from './cases/errors.ts';
import { eventCases } from './cases/events.ts';
import { httpCases } from './cases/http.ts';
import { patternCases } from './cases/patterns.ts';
import { timerCases } from './cases/timers.ts';
import { openTarget, patienceMs } from './target.ts';

let conformance: Conformance;

beforeAll(async () => {
  const target = await openTarget();
  process.stdout.write(`The conformance suite runs against ${target.description}.\n`);
  conformance = openConformance(target);
}, patienceMs + 30_000);

for (const register of [
  httpCases,
  timerCases,
  blobCases,
  patternCases,
  errorCases,
  eventCases,
  controlCases,
]) {
  register(() => conformance);
}

// The order of test files: those that take longest begin first, so that none of them is alone at the end. Without this, a machine that
// has never run the tests goes by the size of the files.
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By their time on two cores, longest first; the others follow as the runner would have them. */
const longFiles = [
  'e2e/agent.test.ts',
  'e2e/agentFailover',
  'unit/agent/track/rct',
  'e2e/week',
  'host/startStop',
  'e2e/demo',
  'e2e/agentTrackers',
  'durable/faultSweep',
  'contract/azuriteLeases',
  'conformance/',
  'e2e/pipelineSweep',
  'fuzz/diskImages',
  'contract/azurite.test.ts',
  'merge/largeLog',
  'host/startErrors',
  'host/watch',
];

const rankOf = ({ moduleId }: TestSpecification): number => {
  const found = longFiles.findIndex((name) => moduleId.includes(`/test/${name}`));
  return found < 0 ? longFiles.length : found;
};

export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((one, other) => rankOf(one) - rankOf(other));
  }
}

// Orchestrations and activities are functions of one app: a name that two of them have keeps the app from loading.
import { expect, it } from 'vitest';
import { orchestratedKinds } from '../../lib/protection/orchestrations.ts';
import { activityNames } from '../../orchestrators/activities.ts';

it('no orchestration has the name of an activity', () => {
  const names = [...orchestratedKinds, ...activityNames];
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});

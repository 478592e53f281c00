// What a recovery plan's job shows beside the fields of every job: a task for each group, and in it a task for each member and
// action, as Site Recovery's clients know them.
import { kindOf } from '../jobs/kinds.ts';
import { describeJobState } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ActionStep, MemberStep, PlanPhase, PlanRun, PlanStep } from '../jobs/planRun.ts';
import { workOf } from '../plans/actions.ts';
import { groupTask } from '../plans/groupTasks.ts';
import { verbTable } from '../plans/verbs.ts';
import { jobError, noTime } from './jobErrors.ts';

const phaseNames: Readonly<Record<PlanPhase, string>> = {
  shutdown: 'Shutting down',
  failover: 'Failing over',
  boot: 'Starting',
  whole: '',
};

const task = (
  about: { taskId: string; name: string; friendlyName: string },
  step: PlanStep,
  state: string,
) => ({
  ...about,
  state,
  stateDescription: describeJobState(state),
  startTime: step.startTime ?? noTime,
  endTime: step.endTime ?? noTime,
  allowedActions: state === 'Suspended' ? ['Resume'] : [],
  groupTaskCustomDetails: null,
});

function memberState({ passed, failed, state }: MemberStep, item: string): string {
  if (passed.includes(item)) return 'Succeeded';
  if (failed.includes(item)) return 'Failed';
  return state === 'Succeeded' ? 'InProgress' : state;
}

function memberTasks(run: PlanRun, step: MemberStep, index: number) {
  const { memberJob } = verbTable[run.verb];
  const { scenario, friendlyName, targetType } = kindOf(memberJob);
  return step.items.map((item) => {
    const member = run.members.find((each) => each.item === item);
    const state = memberState(step, item);
    const what = phaseNames[step.phase] || friendlyName;
    const about = {
      taskId: `Step${index}-${item}`,
      name: `${scenario}-${step.phase}`,
      friendlyName: `${what}: ${member?.machineName ?? item}`,
    };
    return {
      ...task(about, step, state),
      taskType: 'VirtualMachineTaskDetails',
      customDetails: {
        instanceType: 'VirtualMachineTaskDetails',
        jobTask: {
          ...{ jobId: member?.jobId ?? null, jobFriendlyName: friendlyName, jobScenarioName: scenario },
          ...{ targetObjectId: member?.armId ?? null, targetObjectName: member?.machineName ?? item },
          targetInstanceType: targetType,
        },
      },
      errors:
        state === 'Failed'
          ? step.errors
              .filter(({ message }) => message.includes(member?.machineName ?? item))
              .map((error) => jobError(error, step.endTime ?? noTime, about.taskId))
          : [],
    };
  });
}

function actionDetails({ action, observation }: ActionStep) {
  const { customDetails: details, actionName: name } = action;
  switch (details.instanceType) {
    case 'ManualActionDetails':
      return {
        instanceType: 'ManualActionTaskDetails',
        ...{ name, instructions: details.description, observation },
      };
    case 'ScriptActionDetails':
      return {
        instanceType: 'ScriptActionTaskDetails',
        ...{ name, path: details.path, output: observation },
        isPrimarySideScript: details.fabricLocation === 'Primary',
      };
    case 'AutomationRunbookActionDetails':
      return {
        instanceType: 'AutomationRunbookTaskDetails',
        ...{ name, runbookId: details.runbookId, jobOutput: observation },
        isPrimarySideScript: details.fabricLocation === 'Primary',
      };
    case 'LifeboatDelayActionDetails':
    case 'LifeboatProbeActionDetails':
      return {
        instanceType: details.instanceType.replace('ActionDetails', 'TaskDetails'),
        name,
        observation,
      };
  }
}

function actionTask(step: ActionStep, index: number) {
  const about = {
    taskId: `Step${index}`,
    name: `RecoveryPlanAction-${workOf(step.action).kind}`,
    friendlyName: step.action.actionName,
  };
  const customDetails = actionDetails(step);
  return {
    ...task(about, step, step.state),
    ...{ taskType: customDetails.instanceType, customDetails },
    errors: step.errors.map((error) => jobError(error, step.endTime ?? noTime, about.taskId)),
  };
}

/** The details of a group's task; undefined for a task that is of no group. */
export function groupDetailsOf(run: PlanRun, taskId: string) {
  const group = run.groups.findIndex((_group, index) => groupTask(index) === taskId);
  const about = run.groups[group];
  if (!about) return undefined;
  const childTasks = run.steps.flatMap((step, index): object[] => {
    if (step.group !== group) return [];
    return step.kind === 'members' ? memberTasks(run, step, index) : [actionTask(step, index)];
  });
  return {
    instanceType:
      about.groupType === 'Shutdown'
        ? 'RecoveryPlanShutdownGroupTaskDetails'
        : 'RecoveryPlanGroupTaskDetails',
    ...{ name: about.name, groupId: String(group), rpGroupType: about.groupType, childTasks },
  };
}

/** `customDetails` of the job. */
export function planJobDetails({ targetName, state, run }: JobRecord & { run: PlanRun }) {
  const affectedObjectDetails = { targetName };
  const protectedItemDetails = run.members.map(({ name, machineName }) => ({
    name,
    friendlyName: machineName,
  }));
  if (run.verb === 'testFailover') {
    const { comments, networkId } = run.options;
    return {
      ...{ instanceType: 'TestFailoverJobDetails' as const, affectedObjectDetails, protectedItemDetails },
      ...{ testFailoverStatus: state === 'InProgress' ? 'Active' : describeJobState(state), comments },
      ...{ networkName: networkId, networkFriendlyName: networkId?.split('/').at(-1) ?? null },
      networkType: networkId === null ? 'NoNetworkAttachAsInput' : 'VmNetworkAsInput',
    };
  }
  if (verbTable[run.verb].phases.includes('boot'))
    return { instanceType: 'FailoverJobDetails' as const, affectedObjectDetails, protectedItemDetails };
  return { instanceType: 'AsrJobDetails' as const, affectedObjectDetails };
}

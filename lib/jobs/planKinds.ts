// Kinds of job of recovery plans: the words of Site Recovery. Behind the checks every group of the plan is a step of its own
// (lib/plans/groupTasks.ts), so the kind itself has one.

const ofPlan = (scenario: string, friendlyName: string) => ({
  ...{ scenario, friendlyName, targetType: 'RecoveryPlan', isCancellable: true, isRestartable: true },
  steps: [
    {
      taskId: 'RecoveryPlanPreflightChecksTask',
      name: 'RecoveryPlanPrerequisitesCheck',
      friendlyName: 'Prerequisites check of the recovery plan',
    },
  ],
});

export const planKinds = {
  planTestFailover: ofPlan('TestFailover', 'Test failover'),
  planTestFailoverCleanup: ofPlan('TestFailoverCleanup', 'Test failover cleanup'),
  planPlannedFailover: ofPlan('PlannedFailover', 'Planned failover'),
  planUnplannedFailover: ofPlan('UnplannedFailover', 'Failover'),
  planFailback: ofPlan('Failback', 'Failback'),
  planCommit: ofPlan('CommitFailover', 'Commit'),
  planCancel: ofPlan('CancelFailover', 'Cancel failover'),
  planReprotect: ofPlan('ReverseReplicate', 'Reverse replicate'),
};

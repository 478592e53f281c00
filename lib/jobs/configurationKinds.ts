// Kinds of job for changes of configuration: done when they are answered, one step each.

type Immediate = readonly [
  scenario: string,
  friendlyName: string,
  targetType: string,
  taskId: string,
  task: string,
];

const immediate = ([scenario, friendlyName, targetType, taskId, task]: Immediate) => ({
  ...{ scenario, friendlyName, targetType, isCancellable: false, isRestartable: false },
  steps: [{ taskId, name: scenario, friendlyName: task }],
});

const profile = 'ProtectionProfile';

export const configurationKinds = {
  deleteSite: immediate(['DeleteSite', 'Delete a site', 'Server', 'DeleteSiteTask', 'Deleting the site']),
  checkConsistency: immediate([
    ...(['ConsistencyCheck', 'Check consistency of a site', 'Server'] as const),
    ...(['ConsistencyCheckTask', 'Comparing the rows of the site'] as const),
  ]),
  registerProvider: immediate([
    ...(['RegisterDra', 'Register a source host', 'Server'] as const),
    ...(['RegisterDraTask', 'Registering the source host'] as const),
  ]),
  refreshProvider: immediate([
    ...(['RefreshDra', 'Refresh a source host', 'Server'] as const),
    ...(['RefreshDraTask', 'Reading what the source host last reported'] as const),
  ]),
  removeProvider: immediate([
    ...(['UnregisterDra', 'Remove a source host', 'Server'] as const),
    ...(['UnregisterDraTask', 'Revoking the source host'] as const),
  ]),
  discover: immediate([
    ...(['DiscoverProtectableItem', 'Discover machines', 'Server'] as const),
    ...(['DiscoverProtectableItemTask', 'Reading what the source hosts last reported'] as const),
  ]),
  updatePolicy: immediate([
    ...(['UpdateProtectionProfile', 'Update replication policy', profile] as const),
    ...(['UpdateProtectionProfileTask', 'Updating the replication policy'] as const),
  ]),
  deletePolicy: immediate([
    ...(['RemoveProtectionProfile', 'Delete replication policy', profile] as const),
    ...(['RemoveProtectionProfileTask', 'Deleting the replication policy'] as const),
  ]),
  dissociatePolicy: immediate([
    ...(['DissociateProtectionProfile', 'Dissociate replication policy', profile] as const),
    ...(['UnpairCloudTask', 'Dissociating the replication policy'] as const),
  ]),
  changeNetworkMapping: immediate([
    ...(['AssociateNetwork', 'Map a network', 'Network'] as const),
    ...(['AssociateNetworkTask', 'Mapping the network'] as const),
  ]),
  deleteNetworkMapping: immediate([
    ...(['DissociateNetwork', 'Delete a network mapping', 'Network'] as const),
    ...(['DissociateNetworkTask', 'Deleting the network mapping'] as const),
  ]),
  createStorageMapping: immediate([
    ...(['AssociateStorage', 'Map a storage classification', 'StorageClassification'] as const),
    ...(['AssociateStorageTask', 'Mapping the storage classification'] as const),
  ]),
  deleteStorageMapping: immediate([
    ...(['DissociateStorage', 'Delete a storage mapping', 'StorageClassification'] as const),
    ...(['DissociateStorageTask', 'Deleting the storage mapping'] as const),
  ]),
  createPlan: immediate([
    ...(['CreateRecoveryPlan', 'Create a recovery plan', 'RecoveryPlan'] as const),
    ...(['CreateRecoveryPlanTask', 'Creating the recovery plan'] as const),
  ]),
  updatePlan: immediate([
    ...(['UpdateRecoveryPlan', 'Update a recovery plan', 'RecoveryPlan'] as const),
    ...(['UpdateRecoveryPlanTask', 'Updating the recovery plan'] as const),
  ]),
  deletePlan: immediate([
    ...(['DeleteRecoveryPlan', 'Delete a recovery plan', 'RecoveryPlan'] as const),
    ...(['DeleteRecoveryPlanTask', 'Deleting the recovery plan'] as const),
  ]),
  refreshVaultHealth: immediate([
    ...(['RefreshVaultHealth', 'Refresh the health of the vault', 'Vault'] as const),
    ...(['RefreshVaultHealthTask', 'Reading the health of all resources'] as const),
  ]),
  changeVaultSetting: immediate([
    ...(['UpdateVaultSetting', 'Change a setting of the vault', 'Vault'] as const),
    ...(['UpdateVaultSettingTask', 'Storing the setting'] as const),
  ]),
  exportJobs: immediate([
    ...(['ExportJobs', 'Export jobs', 'Vault'] as const),
    ...(['ExportJobsTask', 'Preparing the export'] as const),
  ]),
};

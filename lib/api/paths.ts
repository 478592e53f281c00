// Patterns below the vault that several modules build on.
export const fabricPath = '/replicationFabrics/{fabric}';
export const containerPath = `${fabricPath}/replicationProtectionContainers/{container}`;
export const itemPath = `${containerPath}/replicationProtectedItems/{item}`;

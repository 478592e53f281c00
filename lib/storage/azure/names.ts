// The names of containers and tables in the account: contracts with everyone who uploads or looks into the account.

export const containerNames = {
  replicas: 'replicas',
  deltas: 'deltas',
  quarantine: 'quarantine',
  resync: 'resync',
  recovered: 'recovered',
  evidence: 'evidence',
  locks: 'locks',
} as const;

export const tableNames = {
  items: 'lifeboatItems',
  jobs: 'lifeboatJobs',
  inventory: 'lifeboatInventory',
  vault: 'lifeboatVault',
  access: 'lifeboatAccess',
} as const;

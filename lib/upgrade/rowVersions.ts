// The versions of rows so far, newest last. A step is never changed once it was released: rows of its version are out there.
import type { RowMigration, RowVersions } from '../storage/versionedRows.ts';

/** Kinds of jobs by their scenario: before version 2 a job's row did not name its kind. */
const kindOfScenario: Readonly<Record<string, string>> = {
  EnableDr: 'enableProtection',
  CreateSite: 'createSite',
  AddProtectionProfile: 'createPolicy',
  AssociateProtectionProfile: 'associatePolicy',
};

const protectedItem = /\/replicationProtectedItems\/([^/]+)$/i;

const migrations: readonly RowMigration[] = [
  {
    to: 2,
    table: 'jobs',
    applies: (partition) => partition === 'jobs',
    migrate: ({ ...job }) => {
      const [, item] = protectedItem.exec(String(job['targetId'])) ?? [];
      return { ...job, kind: kindOfScenario[String(job['scenario'])], item: item?.toLowerCase() ?? null };
    },
  },
];

export const rowVersions: RowVersions = { current: 2, migrations };

// Blob names of what a failover makes: recovered/<item>/<job>/<disk>.vhd and the files beside it, and evidence/<item>/<job>/….
// The job's id is in every name, so that two failovers never share a blob and everything of a job can be found again.

const diskName = /^([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\.vhd$/;

export interface RecoveredDiskName {
  item: string;
  jobId: string;
  disk: string;
}

/** The folder of one job, with a slash at its end; in both containers. */
export function recoveredFolder(item: string, jobId: string): string {
  return `${item}/${jobId}/`;
}

export function recoveredDiskName({ item, jobId, disk }: RecoveredDiskName): string {
  return `${recoveredFolder(item, jobId)}${disk}.vhd`;
}

/** The parts of a recovered disk's blob name, or undefined when it is none. */
export function parseRecoveredDiskName(name: string): RecoveredDiskName | undefined {
  const match = diskName.exec(name);
  if (!match) return undefined;
  const [, item = '', jobId = '', disk = ''] = match;
  return { item, jobId, disk };
}

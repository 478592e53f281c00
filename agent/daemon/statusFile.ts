// What the agent is doing, for `lifeboat agent status`: a small file that is replaced when something changed.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readState } from './stateFiles.ts';

const activity = z.object({
  doing: z.string(),
  doneBytes: z.number().optional(),
  totalBytes: z.number().optional(),
});
const agentStatus = z.object({
  version: z.literal(1),
  pid: z.number(),
  startedAt: z.string(),
  updatedAt: z.string(),
  service: z.object({ url: z.string(), reachedAt: z.string().nullable(), problem: z.string().nullable() }),
  spool: z.object({ usedBytes: z.number(), quotaBytes: z.number(), fullAt: z.string().nullable() }),
  machines: z.array(z.object({ machine: z.string(), problem: z.string().nullable() })),
  items: z.array(
    z.object({
      item: z.string(),
      machine: z.string(),
      appliedCycle: z.number(),
      pendingCycle: z.number().nullable(),
      lastFrozenAt: z.string().nullable(),
      activity,
    }),
  ),
});
export type AgentStatus = z.infer<typeof agentStatus>;

const pathIn = (stateFolder: string): string => join(stateFolder, 'status.json');

/** Undefined when no agent ever ran in the folder. */
export const readStatus = (stateFolder: string): Promise<AgentStatus | undefined> =>
  readState(pathIn(stateFolder), agentStatus);

/** Not flushed: it is worth nothing after a power failure. */
export async function writeStatus(stateFolder: string, status: AgentStatus): Promise<void> {
  const path = pathIn(stateFolder);
  await writeFile(`${path}.part`, JSON.stringify(status));
  await rename(`${path}.part`, path);
}

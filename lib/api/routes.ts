// Every path of the API in one table.
import { getAssignments, putInventory } from './agent.ts';
import { completeScrubDigests, getCoarseDigests, getFineDigests, putScrubDigests } from './agentDigests.ts';
import { completeDisk, reportComparison, reportFailure, reportSnapshot } from './agentReports.ts';
import { getFabric, listContainers, listFabrics, putFabric, readContainer } from './fabrics.ts';
import { getJob, getOperationStatus, listJobs } from './jobs.ts';
import { getMapping, getPolicy, listMappings, listPolicies, putMapping, putPolicy } from './policies.ts';
import { getProtectableItem, listProtectableItems } from './protectableItems.ts';
import {
  getPoint,
  getProtectedItem,
  listPoints,
  listProtectedItems,
  putProtectedItem,
} from './protectedItems.ts';
import type { Route } from './router.ts';

const fabric = '/replicationFabrics/{fabric}';
const container = `${fabric}/replicationProtectionContainers/{container}`;
const item = `${container}/replicationProtectedItems/{item}`;

/** Below the vault. */
export const vaultRoutes: readonly Route[] = [
  { pattern: '/replicationFabrics', verbs: { GET: listFabrics } },
  { pattern: fabric, verbs: { GET: getFabric, PUT: putFabric } },
  { pattern: '/replicationPolicies', verbs: { GET: listPolicies } },
  { pattern: '/replicationPolicies/{policy}', verbs: { GET: getPolicy, PUT: putPolicy } },
  { pattern: '/replicationProtectionContainers', verbs: { GET: listContainers } },
  { pattern: `${fabric}/replicationProtectionContainers`, verbs: { GET: listContainers } },
  { pattern: container, verbs: { GET: readContainer } },
  { pattern: '/replicationProtectionContainerMappings', verbs: { GET: listMappings } },
  { pattern: `${container}/replicationProtectionContainerMappings`, verbs: { GET: listMappings } },
  {
    pattern: `${container}/replicationProtectionContainerMappings/{mapping}`,
    verbs: { GET: getMapping, PUT: putMapping },
  },
  { pattern: `${container}/replicationProtectableItems`, verbs: { GET: listProtectableItems } },
  {
    pattern: `${container}/replicationProtectableItems/{protectableItem}`,
    verbs: { GET: getProtectableItem },
  },
  { pattern: '/replicationProtectedItems', verbs: { GET: listProtectedItems } },
  { pattern: `${container}/replicationProtectedItems`, verbs: { GET: listProtectedItems } },
  { pattern: item, verbs: { GET: getProtectedItem, PUT: putProtectedItem } },
  { pattern: `${item}/recoveryPoints`, verbs: { GET: listPoints } },
  { pattern: `${item}/recoveryPoints/{point}`, verbs: { GET: getPoint } },
  { pattern: '/replicationJobs', verbs: { GET: listJobs } },
  { pattern: '/replicationJobs/{job}', verbs: { GET: getJob } },
  { pattern: '/replicationOperationStatus/{job}', verbs: { GET: getOperationStatus } },
];

const agentItem = '/agent/v1/items/{item}';
const agentDisk = `${agentItem}/disks/{disk}`;

export const agentRoutes: readonly Route[] = [
  { pattern: '/agent/v1/sites/{fabric}/inventory', verbs: { PUT: putInventory } },
  { pattern: '/agent/v1/assignments', verbs: { GET: getAssignments } },
  { pattern: `${agentItem}/snapshot`, verbs: { POST: reportSnapshot } },
  { pattern: `${agentItem}/failures`, verbs: { POST: reportFailure } },
  { pattern: `${agentItem}/resync/progress`, verbs: { POST: reportComparison } },
  { pattern: `${agentItem}/scrubs/{scrub}/complete`, verbs: { POST: completeScrubDigests } },
  { pattern: `${agentDisk}/initialReplication/complete`, verbs: { POST: completeDisk } },
  { pattern: `${agentDisk}/resync/{generation}/coarse/{segment}`, verbs: { GET: getCoarseDigests } },
  { pattern: `${agentDisk}/resync/{generation}/fine`, verbs: { POST: getFineDigests } },
  { pattern: `${agentDisk}/scrubs/{scrub}/coarse/{segment}`, verbs: { PUT: putScrubDigests } },
];

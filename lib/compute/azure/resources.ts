// One resource of a job: looked at, and put when it is missing.
import type { ArmClient } from '../../azure/arm.ts';
import { LifeboatError, isLifeboatError } from '../../errors.ts';
import { jobTag } from '../machineNames.ts';
import { resourceTypes, type AzureResource } from '../machineResources.ts';
import { computeDone, type ComputeProgress, type MachineOrder } from '../port.ts';

const pollSeconds = 5;

/** Where a job's resources are, and whose they are. */
export interface ResourceOwner {
  /** The placement of its machine. */
  order: MachineOrder;
  /** The job that their tag names. */
  jobId: string;
}

/** ARM id of a resource in the machine's group. Throws `ComputeFailed` when none was chosen. */
export function resourceId({ placement, name: machine }: MachineOrder, type: string, name: string): string {
  if (placement.resourceGroupId !== null) return `${placement.resourceGroupId}/providers/${type}/${name}`;
  throw new LifeboatError('ComputeFailed', `No target resource group is chosen for machine ${machine}.`);
}

/** Not done; the words say what is being waited for. */
export const waiting = (waitingFor: string, retryAfterSeconds = pollSeconds): ComputeProgress => ({
  ...{ isDone: false, waitingFor, retryAfterSeconds },
});

/** The resource as it must be: made when it is missing, put again when an earlier attempt at it failed. */
export async function ensure(
  arm: ArmClient,
  owner: ResourceOwner,
  resource: AzureResource,
): Promise<ComputeProgress> {
  const { order, jobId } = owner;
  const { type, name, apiVersion } = resource;
  const found = await arm.find(resourceId(order, type, name), apiVersion);
  if (found && found.tags?.[jobTag] !== jobId) {
    const message = `${type} "${name}" exists in ${order.placement.resourceGroupId ?? ''} and does not belong to this job.`;
    throw new LifeboatError('TargetNameTaken', message, { target: name });
  }
  const state = found?.properties?.provisioningState;
  if (state === 'Succeeded') return computeDone;
  if (state !== undefined && state !== 'Failed' && state !== 'Canceled') return waiting(`${type} ${name}`);
  const onlyNew = found === undefined && type === resourceTypes.machine.type;
  return put(arm, owner, resource, onlyNew);
}

async function put(
  arm: ArmClient,
  owner: ResourceOwner,
  { type, name, apiVersion, body }: AzureResource,
  onlyNew: boolean,
): Promise<ComputeProgress> {
  const id = resourceId(owner.order, type, name);
  try {
    const outcome = await arm.put(id, apiVersion, body, { onlyNew });
    return outcome.state === 'done' ? computeDone : waiting(`${type} ${name}`, outcome.retryAfterSeconds);
  } catch (error) {
    // The answer to a first attempt may have been lost, and the second meets what the first one made.
    if (!isLifeboatError(error, 'ComputeUnavailable', 'TargetNameTaken')) throw error;
    const made = await arm.find(id, apiVersion);
    if (made?.tags?.[jobTag] !== owner.jobId) throw error;
    return waiting(`${type} ${name}`);
  }
}

// Protection containers: what the machines of a fabric are grouped by. They are not stored, they follow from the fabric.
import { LifeboatError } from '../errors.ts';
import { containerOf } from './resources.ts';
import type { FabricRecord } from './resources.ts';

export interface Container {
  name: string;
  friendlyName: string;
  /** The cloud of a VMM server; null for the one container of a Hyper-V site. */
  cloud: string | null;
}

const cloudContainer = (id: string): string => `cloud_${id}`;

export function containersOf(fabric: FabricRecord): Container[] {
  if (fabric.kind === 'HyperVSite')
    return [{ name: containerOf(fabric), friendlyName: fabric.name, cloud: null }];
  return fabric.clouds.map(({ id, name }) => ({ name: cloudContainer(id), friendlyName: name, cloud: name }));
}

/** Whether a machine belongs to the container: a cloud has the machines that name it, a site all of its own. */
export const holdsMachine = ({ cloud }: Container, machine: { cloud?: string | undefined }): boolean =>
  cloud === null || machine.cloud?.toLowerCase() === cloud.toLowerCase();

/** Without regard to case. Throws `ResourceNotFound` that names the containers there are. */
export function getContainerOf(fabric: FabricRecord, name: string): Container {
  const all = containersOf(fabric);
  const found = all.find((each) => each.name.toLowerCase() === name.toLowerCase());
  if (found) return found;
  const known = all.length === 0 ? 'it has none yet' : `it has ${all.map((each) => each.name).join(', ')}`;
  const message = `Protection container "${name}" does not exist in fabric "${fabric.name}"; ${known}.`;
  throw new LifeboatError('ResourceNotFound', message, { target: name });
}

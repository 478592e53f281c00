// Azure Resource Manager for tests: a `fetch` that refuses what the service would refuse. Requests need a token, a known
// api-version, a good name and a whole body; references must exist and be provisioned; operations take their time and are
// polled; what is in use cannot be deleted. Trouble is scripted: throttling, failures, lost answers.
import type { FakeDisks } from './fakeDisks.ts';
import type { DiskBody, NicBody, MachineBody, FakeType, SnapshotBody } from './schemas.ts';
import { accessBody, nameRules, schemas, versions } from './schemas.ts';

export const fakeEndpoint = 'https://arm.test';
export const fakeToken = 'good-token';

interface Stored {
  id: string;
  name: string;
  type: string;
  tags: Record<string, string>;
  body: unknown;
  state: 'Creating' | 'Succeeded' | 'Failed' | 'Deleting';
}

interface Operation {
  polls: number;
  end: () => { code: string; message: string } | undefined;
  output: object | undefined;
}

/** What the next request of a kind meets. */
export interface Trouble {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Part of the URL. */
  path: string;
  /** A refusal; `lost` = it is carried out but its answer does not arrive; `operationFails` = its operation ends badly. */
  what: { status: number; code: string; retryAfter?: number } | 'lost' | { operationFails: string };
}

export interface FakeArmOptions {
  resourceGroups: readonly string[];
  subnets: readonly string[];
  /** Polls until an operation ends. */
  polls?: number;
  /** Resources on one page of a listing. */
  pageSize?: number;
  /** Bytes of the disks, and what a disk that is imported holds. Without, disks have none, and no snapshots. */
  disks?: FakeDisks;
  readBlob?: (url: string) => Promise<Uint8Array>;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfter: number | undefined;
  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const resourcePath =
  /^(\/subscriptions\/[^/]+\/resourceGroups\/([^/]+))\/providers\/([^/]+\/[^/]+)\/([^/]+)(\/\w+)?$/i;

export class FakeArm {
  readonly resources = new Map<string, Stored>();
  /** `METHOD path` of every request that was carried out or refused, in order. */
  readonly requests: string[] = [];
  readonly troubles: Trouble[] = [];
  readonly power = new Map<string, string>();
  /** Text of the serial console of every machine. */
  consoleText = '';
  readonly #options: Required<Omit<FakeArmOptions, 'disks' | 'readBlob'>> &
    Pick<FakeArmOptions, 'disks' | 'readBlob'>;
  readonly #operations = new Map<string, Operation>();

  constructor(options: FakeArmOptions) {
    this.#options = { polls: 2, pageSize: 2, ...options };
  }

  readonly fetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : String(input));
    const method = (init.method ?? 'GET') as Trouble['method'];
    this.requests.push(`${method} ${url.pathname}`);
    const at = this.troubles.findIndex((each) => each.method === method && url.pathname.includes(each.path));
    const trouble = at < 0 ? undefined : this.troubles.splice(at, 1)[0]?.what;
    try {
      this.#requireEnvelope(url, new Headers(init.headers));
      if (typeof trouble === 'object' && 'status' in trouble)
        throw new Refusal(trouble.status, trouble.code, 'scripted', trouble.retryAfter);
      const fails = typeof trouble === 'object' ? trouble.operationFails : undefined;
      const answer = await this.#handle(method, url, init, fails);
      if (trouble === 'lost') throw new TypeError('fetch failed');
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, code, message, retryAfter } = error;
      const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
      return Response.json({ error: { code, message } }, { status, headers });
    }
  };

  #requireEnvelope(url: URL, headers: Headers): void {
    if (url.origin !== fakeEndpoint) throw new TypeError(`no such host ${url.host}`);
    if (headers.get('authorization') !== `Bearer ${fakeToken}`)
      throw new Refusal(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
    if (!url.searchParams.has('api-version'))
      throw new Refusal(400, 'MissingApiVersionParameter', 'The api-version query parameter is required.');
  }

  async #handle(method: string, url: URL, init: RequestInit, fails: string | undefined): Promise<Response> {
    const operation = /^\/operations\/(.+)$/.exec(url.pathname)?.[1];
    if (operation !== undefined) return this.#poll(operation);
    if (/^\/subscriptions\/[^/]+\/resources$/i.test(url.pathname)) return this.#list(url);
    const [, , group = '', type = '', name = '', action] =
      resourcePath.exec(decodeURIComponent(url.pathname)) ?? [];
    const fakeType = type.toLowerCase() as FakeType;
    if (!(fakeType in schemas))
      throw new Refusal(404, 'InvalidResourceType', `The resource type ${type} is not known.`);
    if (!versions[fakeType].includes(url.searchParams.get('api-version') ?? ''))
      throw new Refusal(400, 'NoRegisteredProviderFound', `No api-version of ${type} like that.`);
    if (!this.#options.resourceGroups.some((each) => each.toLowerCase() === group.toLowerCase()))
      throw new Refusal(404, 'ResourceGroupNotFound', `Resource group '${group}' could not be found.`);
    const id = url.pathname.slice(0, url.pathname.length - (action?.length ?? 0));
    const key = id.toLowerCase();
    if (action !== undefined)
      return fakeType === 'microsoft.compute/snapshots'
        ? this.#access(method, key, action, init)
        : this.#act(method, key, action, fails);
    if (method === 'GET') return this.#get(key);
    if (method === 'DELETE') return this.#delete(key, fakeType, fails);
    return this.#put({ id, type, name, tags: {}, body: undefined, state: 'Creating' }, fakeType, init, fails);
  }

  #get(key: string): Response {
    const stored = this.resources.get(key);
    if (!stored) throw new Refusal(404, 'ResourceNotFound', `The resource ${key} was not found.`);
    return Response.json({ ...view(stored), ...this.#diskState(key, stored) });
  }

  async #put(
    stored: Stored,
    type: FakeType,
    init: RequestInit,
    fails: string | undefined,
  ): Promise<Response> {
    const key = stored.id.toLowerCase();
    if (!nameRules[type].test(stored.name))
      throw new Refusal(400, 'InvalidResourceName', `Resource name ${stored.name} is invalid.`);
    const existing = this.resources.get(key);
    const isConditional = new Headers(init.headers).get('if-none-match') === '*';
    if (isConditional && existing) throw new Refusal(412, 'PreconditionFailed', 'The resource exists.');
    if (existing?.state === 'Creating' || existing?.state === 'Deleting')
      throw new Refusal(
        409,
        'AnotherOperationInProgress',
        'Another operation on this resource is in progress.',
      );
    const parsed = schemas[type].safeParse(JSON.parse(init.body as string));
    if (!parsed.success) throw new Refusal(400, 'InvalidRequestContent', parsed.error.message);
    this.#requireReferences(type, parsed.data, key);
    if (type === 'microsoft.compute/disks' && !existing) await this.#import(key, parsed.data as DiskBody);
    if (type === 'microsoft.compute/snapshots' && !existing) {
      const source = (parsed.data as SnapshotBody).properties.creationData.sourceResourceId.toLowerCase();
      this.#requireProvisioned(source);
      this.#options.disks?.takeSnapshot(key, source);
    }
    const made: Stored = { ...stored, tags: parsed.data.tags, body: parsed.data };
    this.resources.set(key, made);
    return this.#start(existing ? 200 : 201, made, fails, () => {
      made.state = 'Succeeded';
      if (type === 'microsoft.compute/virtualmachines') this.power.set(key, 'running');
    });
  }

  async #import(key: string, { properties }: DiskBody): Promise<void> {
    const { disks, readBlob } = this.#options;
    if (!disks || !readBlob) return;
    const bytes = await readBlob(properties.creationData.sourceUri);
    disks.disks.set(key, Buffer.from(bytes.subarray(0, bytes.length - 512)));
  }

  /** What the service tells of a snapshot besides its body. */
  #diskState(key: string, { body, state }: Stored): object {
    const { disks } = this.#options;
    if (!disks?.snapshots.has(key)) return {};
    const { properties } = body as SnapshotBody;
    const diskState = disks.hasAccess(key) ? 'ActiveSAS' : 'Unattached';
    return { properties: { ...properties, provisioningState: state, diskState, completionPercent: 100 } };
  }

  /** Grants access to a snapshot, and takes it back. */
  #access(method: string, key: string, action: string, init: RequestInit): Response {
    const stored = this.resources.get(key);
    const { disks } = this.#options;
    if (!stored || !disks) throw new Refusal(404, 'ResourceNotFound', `The resource ${key} was not found.`);
    if (stored.state !== 'Succeeded')
      throw new Refusal(409, 'OperationNotAllowed', `${key} is in state ${stored.state}.`);
    if (method === 'POST' && action === '/endGetAccess') {
      disks.revoke(key);
      return this.#start(202, stored, undefined, () => undefined);
    }
    if (method !== 'POST' || action !== '/beginGetAccess')
      throw new Refusal(404, 'NotFound', `No action ${action}.`);
    const parsed = accessBody.safeParse(JSON.parse((init.body ?? '{}') as string));
    if (!parsed.success) throw new Refusal(400, 'InvalidParameter', parsed.error.message);
    if (disks.hasAccess(key)) throw new Refusal(409, 'Conflict', `${key} has active access.`);
    return this.#start(202, stored, undefined, () => undefined, { accessSAS: disks.grant(key) });
  }

  #requireReferences(type: FakeType, body: unknown, key: string): void {
    if (type === 'microsoft.network/networkinterfaces') {
      const { properties } = body as NicBody;
      for (const { properties: config } of properties.ipConfigurations) {
        if (!this.#options.subnets.some((each) => each.toLowerCase() === config.subnet.id.toLowerCase()))
          throw new Refusal(400, 'InvalidResourceReference', `Subnet ${config.subnet.id} was not found.`);
        if ((config.privateIPAllocationMethod === 'Static') !== (config.privateIPAddress !== undefined))
          throw new Refusal(400, 'PrivateIPAddressNotSet', 'Static needs an address, Dynamic has none.');
      }
      if (properties.networkSecurityGroup) this.#requireProvisioned(properties.networkSecurityGroup.id);
    }
    if (type !== 'microsoft.compute/virtualmachines') return;
    const { storageProfile, networkProfile } = (body as MachineBody).properties;
    const disks = [storageProfile.osDisk, ...storageProfile.dataDisks].map((each) => each.managedDisk.id);
    for (const disk of disks) {
      this.#requireProvisioned(disk);
      const owner = this.#ownerOf(disk);
      if (owner !== undefined && owner !== key)
        throw new Refusal(409, 'AttachDiskWhileBeingDetached', `Disk ${disk} is attached to ${owner}.`);
    }
    const luns = storageProfile.dataDisks.map(({ lun }) => lun);
    if (new Set(luns).size !== luns.length)
      throw new Refusal(400, 'InvalidParameter', 'Two disks have one LUN.');
    for (const { id } of networkProfile.networkInterfaces) this.#requireProvisioned(id);
    if (networkProfile.networkInterfaces.filter(({ properties }) => properties.primary).length !== 1)
      throw new Refusal(400, 'VirtualMachineMustHaveOneNetworkInterfaceAsPrimary', 'One must be primary.');
  }

  #requireProvisioned(id: string): void {
    const state = this.resources.get(id.toLowerCase())?.state;
    if (state === undefined) throw new Refusal(404, 'NotFound', `${id} was not found.`);
    if (state !== 'Succeeded')
      throw new Refusal(429, 'ReferencedResourceNotProvisioned', `${id} is in state ${state}.`);
  }

  /** Key of what refers to the resource. */
  #ownerOf(id: string): string | undefined {
    const wanted = `"${id.toLowerCase()}"`;
    for (const [key, { body, type }] of this.resources)
      // A snapshot stands alone: its disk may go.
      if (
        type.toLowerCase() !== 'microsoft.compute/snapshots' &&
        key !== id.toLowerCase() &&
        JSON.stringify(body).toLowerCase().includes(wanted)
      )
        return key;
    return undefined;
  }

  #delete(key: string, type: FakeType, fails: string | undefined): Response {
    const stored = this.resources.get(key);
    if (!stored) return new Response(null, { status: 204 });
    const owner = this.#ownerOf(key);
    if (owner !== undefined) {
      const code = type === 'microsoft.compute/disks' ? 'OperationNotAllowed' : 'InUse';
      throw new Refusal(type === 'microsoft.compute/disks' ? 409 : 400, code, `${key} is used by ${owner}.`);
    }
    if (this.#options.disks?.hasAccess(key))
      throw new Refusal(409, 'OperationNotAllowed', `${key} has an active shared access signature.`);
    stored.state = 'Deleting';
    return this.#start(202, stored, fails, () => {
      this.resources.delete(key);
      this.#options.disks?.snapshots.delete(key);
      this.#options.disks?.disks.delete(key);
      this.power.delete(key);
    });
  }

  #act(method: string, key: string, action: string, fails: string | undefined): Response {
    const stored = this.resources.get(key);
    if (!stored) throw new Refusal(404, 'ResourceNotFound', `The resource ${key} was not found.`);
    if (method === 'GET' && action === '/instanceView') {
      const code = `PowerState/${this.power.get(key) ?? 'starting'}`;
      return Response.json({
        statuses: [{ code: `ProvisioningState/${stored.state.toLowerCase()}` }, { code }],
      });
    }
    if (method === 'POST' && action === '/start')
      return this.#start(202, stored, fails, () => {
        this.power.set(key, 'running');
      });
    if (method === 'POST' && action === '/deallocate') {
      // The guest still shuts down.
      this.power.set(key, 'deallocating');
      return this.#start(202, stored, fails, () => {
        this.power.set(key, 'deallocated');
      });
    }
    if (method === 'POST' && action === '/retrieveBootDiagnosticsData')
      return Response.json({ serialConsoleLogBlobUri: 'https://console.test/serial?sig=secret' });
    throw new Refusal(404, 'NotFound', `No action ${action}.`);
  }

  #start(
    status: number,
    stored: Stored,
    fails: string | undefined,
    end: () => void,
    output?: object,
  ): Response {
    const operation = crypto.randomUUID();
    this.#operations.set(operation, {
      output,
      polls: this.#options.polls,
      end: () => {
        if (fails === undefined) {
          end();
          return undefined;
        }
        stored.state = 'Failed';
        return { code: fails, message: 'scripted failure' };
      },
    });
    const url = `${fakeEndpoint}/operations/${operation}?api-version=2024-01-01`;
    const headers = { 'azure-asyncoperation': url, location: `${url}&result=1`, 'retry-after': '1' };
    return status === 202
      ? new Response(null, { status, headers })
      : Response.json(view(stored), { status, headers });
  }

  #poll(name: string): Response {
    const operation = this.#operations.get(name);
    if (!operation) throw new Refusal(404, 'NotFound', 'No such operation.');
    if (operation.polls-- > 0)
      return Response.json({ status: 'InProgress' }, { headers: { 'retry-after': '1' } });
    const error = operation.end();
    if (error) return Response.json({ status: 'Failed', error });
    const properties = operation.output && { properties: { output: operation.output } };
    return Response.json({ status: 'Succeeded', ...properties });
  }

  /** Ends every operation that nobody polls: time passes. */
  settle(): void {
    for (const operation of this.#operations.values()) if (operation.polls >= 0) operation.end();
    this.#operations.clear();
  }

  #list(url: URL): Response {
    const filter = url.searchParams.get('$filter') ?? '';
    const match = /^tagName eq '([^']+)'(?: and tagValue eq '([^']+)')?$/.exec(filter);
    if (!match) throw new Refusal(400, 'InvalidFilterInQueryString', filter);
    const [, tag = '', value] = match;
    const found = [...this.resources.values()].filter(
      ({ tags }) => tags[tag] !== undefined && (value === undefined || tags[tag] === value),
    );
    const skip = Number(url.searchParams.get('$skiptoken') ?? 0);
    const next = new URL(url);
    next.searchParams.set('$skiptoken', String(skip + this.#options.pageSize));
    const isLast = skip + this.#options.pageSize >= found.length;
    const value_ = found
      .slice(skip, skip + this.#options.pageSize)
      .map(({ id, name, type, tags }) => ({ id, name, type, tags }));
    return Response.json({ value: value_, ...(isLast ? {} : { nextLink: next.href }) });
  }
}

function view({ id, name, type, tags, body, state }: Stored): object {
  const { properties = {}, ...rest } = body as { properties?: object };
  return { ...rest, id, name, type, tags, properties: { ...properties, provisioningState: state } };
}

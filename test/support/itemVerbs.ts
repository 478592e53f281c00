// What an operator does with a protected item over HTTP, and waits for.
import type { SourceHost } from '../e2e/client.ts';
import { eventually } from './protectedVm.ts';

export interface ItemProperties extends Record<string, unknown> {
  protectionState: string;
  allowedOperations: string[];
}

/** One protected item of a service. */
export class Item {
  readonly #service: SourceHost;
  readonly path: string;

  constructor(service: SourceHost, path: string) {
    this.#service = service;
    this.path = path;
  }

  /** Protects machines that a host has reported, under one policy. */
  static async protect(service: SourceHost, machines: readonly string[]): Promise<Item[]> {
    const { vaultPath } = service.service;
    const site = `${vaultPath}/replicationFabrics/site1`;
    await service.call('PUT', site, {});
    const policyId = `${vaultPath}/replicationPolicies/gold`;
    await service.call('PUT', policyId, {});
    const { body } = await service.call('GET', `${site}/replicationProtectionContainers`);
    const container = (body as { value: { id: string }[] }).value[0]!.id;
    await service.call('PUT', `${container}/replicationProtectionContainerMappings/map`, {
      properties: { policyId },
    });
    const items: Item[] = [];
    for (const machine of machines) {
      const protectableItemId = `${container}/replicationProtectableItems/${machine}`;
      await eventually(
        `machine ${machine} is reported`,
        async () => (await service.call('GET', protectableItemId)).status === 200 || undefined,
      );
      const item = new Item(service, `${container}/replicationProtectedItems/${machine}`);
      const put = await service.call('PUT', item.path, {
        properties: { policyId, protectableItemId, providerSpecificDetails: {} },
      });
      if (put.status !== 202) throw new Error(`PUT answered ${put.status}: ${JSON.stringify(put.body)}`);
      items.push(item);
    }
    return items;
  }

  async properties(): Promise<ItemProperties> {
    return ((await this.#service.call('GET', this.path)).body as { properties: ItemProperties }).properties;
  }

  async isIn(state: string): Promise<true | undefined> {
    return (await this.properties()).protectionState === state || undefined;
  }

  /** Sends a verb; returns the id of its job. */
  async begin(verb: string, properties: object = {}): Promise<string> {
    const answer = await this.#service.call('POST', `${this.path}/${verb}`, { properties });
    if (answer.status !== 202)
      throw new Error(`${verb} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return /operationresults\/([^?]+)/.exec(answer.headers.get('location') ?? '')?.[1] ?? '';
  }

  /** True when the job has succeeded; throws when it ended otherwise. */
  async hasSucceeded(job: string): Promise<true | undefined> {
    const { vaultPath } = this.#service.service;
    const { body } = await this.#service.call('GET', `${vaultPath}/replicationJobs/${job}`);
    const { state, errors } = (body as { properties: { state: string; errors: unknown } }).properties;
    if (state === 'Failed' || state === 'Cancelled')
      throw new Error(`job ${job}: ${state}: ${JSON.stringify(errors)}`);
    return state === 'Succeeded' || undefined;
  }

  /** Sends a verb and waits for its job. */
  async act(verb: string, properties: object = {}): Promise<string> {
    const job = await this.begin(verb, properties);
    await eventually(`${verb} succeeds`, () => this.hasSucceeded(job), 60);
    return job;
  }
}

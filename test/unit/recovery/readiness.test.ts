import { describe, expect, it } from 'vitest';
import type { MachineOrder } from '../../../lib/compute/port.ts';
import { addressProblem, parseIpv4, parseIpv4Prefix } from '../../../lib/recovery/ipv4.ts';
import { noNicTarget, planNics, type NetworkSettings } from '../../../lib/recovery/network.ts';
import { failoverReadiness, type ReadinessInput } from '../../../lib/recovery/readiness.ts';
import { machineOrder, networkId, resourceGroupId, testNetworkId } from '../../support/machineOrder.ts';

const facts = {
  networks: [
    { id: networkId, subnets: [{ name: 'front', prefix: '10.0.1.0/24' }] },
    { id: testNetworkId, subnets: [{ name: 'front', prefix: '10.9.0.0/24' }] },
  ],
  sizes: [{ name: 'Standard_D2s_v5', maxDataDisks: 4, maxNics: 2, generations: ['1', '2'] as const }],
};
const nic = machineOrder().nics[0]!;

const check = (failover: Partial<MachineOrder>, more: Partial<ReadinessInput> = {}) =>
  failoverReadiness({
    failover: machineOrder(failover),
    test: machineOrder({ purpose: 'test', nics: [{ ...nic, networkId: testNetworkId }] }),
    provider: 'azure',
    facts,
    ...more,
  });

const placement = (part: Partial<MachineOrder['placement']>) => ({
  placement: { ...machineOrder().placement, ...part },
});
const diskOf = (part: object, index = 0) => ({
  disks: machineOrder().disks.map((disk, at) => (at === index ? { ...disk, ...part } : disk)),
});
const gib = 2 ** 30;

describe('failover readiness', () => {
  it('finds nothing wrong with a good item', () => {
    expect(check({})).toEqual([]);
    expect(check({ nics: [{ ...nic, staticIp: '10.0.1.4' }] })).toEqual([]);
    expect(check({ nics: [], ...placement({ resourceGroupId: null }) }, { provider: 'vhd' })).toEqual([]);
  });

  it.each<[string, Partial<MachineOrder>, RegExp]>([
    ['a name that Azure reserves', { name: 'windows-box' }, /reserves/],
    ['no operating system disk', diskOf({ type: 'DataDisk', lun: 1 }), /0 operating system disks/],
    [
      'two disks of one name',
      { disks: machineOrder().disks.map((each) => ({ ...each, targetName: 'same' })) },
      /both be called "same"/,
    ],
    ['a disk name that is refused', diskOf({ targetName: 'a b' }, 1), /disk name "a b"/],
    ['a huge operating system disk', diskOf({ blobSizeBytes: 4096 * gib + 512 }), /4095 GiB/],
    [
      'a large disk of generation 1',
      { generation: '1', ...diskOf({ blobSizeBytes: 2049 * gib + 512 }) },
      /2048 GiB/,
    ],
    ['a disk too small to import', diskOf({ blobSizeBytes: 2 ** 20 + 512 }), /20 MiB/],
    ['no resource group', placement({ resourceGroupId: null }), /targetAzureV2ResourceGroupId is not set/],
    ['a wrong resource group', placement({ resourceGroupId: 'dr' }), /is no id of a resource group/],
    [
      'set and zone',
      placement({
        availabilitySetId: `${resourceGroupId}/providers/Microsoft.Compute/availabilitySets/a`,
        zone: '1',
      }),
      /not both/,
    ],
    ['a zone that is none', placement({ zone: '4' }), /Zone "4"/],
    ['no adapter', { nics: [] }, /no network adapter/],
    ['no network', { nics: [{ ...nic, networkId: null }] }, /No network is chosen/],
    ['a network that is gone', { nics: [{ ...nic, networkId: `${networkId}x` }] }, /does not exist/],
    ['no subnet', { nics: [{ ...nic, subnet: null }] }, /No subnet/],
    ['an unknown subnet', { nics: [{ ...nic, subnet: 'back' }] }, /has no subnet "back"; it has front/],
    ['text for an address', { nics: [{ ...nic, staticIp: '10.0.1.300' }] }, /no IPv4 address/],
    ['an address outside', { nics: [{ ...nic, staticIp: '10.0.2.7' }] }, /not inside 10.0.1.0\/24/],
    ['an address that Azure keeps', { nics: [{ ...nic, staticIp: '10.0.1.3' }] }, /Azure keeps/],
    [
      'one address twice',
      { nics: [1, 2].map((n) => ({ ...nic, nic: `n${n}`, staticIp: '10.0.1.9' })) },
      /Two adapters/,
    ],
    ['two networks', { nics: [nic, { ...nic, nic: 'b', networkId: testNetworkId }] }, /one virtual network/],
    ['a size that is not offered', placement({ size: 'Standard_Z1' }), /not offered/],
    [
      'too many adapters',
      { nics: ['a', 'b', 'c'].map((n) => ({ ...nic, nic: n })) },
      /takes 2 network adapters/,
    ],
  ])('names %s', (_what, failover, message) => {
    const found = check(failover).filter(({ severity }) => severity === 'Error');
    expect(found.map((issue) => issue.message)).toEqual([expect.stringMatching(message)]);
  });

  it('warns of a test in the real network and of old drills, after the errors', () => {
    const now = new Date('2026-06-30T00:00:00Z');
    const drill = { lastSuccessAt: new Date('2026-01-01T00:00:00Z'), now, warnAfterDays: 180 };
    const found = check({ name: '-' }, { test: machineOrder({ purpose: 'test' }), drill });
    expect(found.map(({ severity, check: name }) => [severity, name])).toEqual([
      ['Error', 'TargetName'],
      ['Warning', 'TestNetwork'],
      ['Warning', 'Drill'],
    ]);
    expect(check({}, { drill: { ...drill, warnAfterDays: 181 } })).toEqual([]);
    expect(check({}, { drill: { ...drill, lastSuccessAt: null } })[0]?.message).toMatch(/ever succeeded/);
  });
});

describe('the networks of a recovered machine', () => {
  const sources = [
    { nic: 'a', network: 'Prod', ipAddresses: ['10.1.1.5'] },
    { nic: 'b', network: 'Backup', ipAddresses: [] },
  ];
  const settings: NetworkSettings = {
    nics: [],
    mappings: [{ sourceNetwork: 'prod', networkId, subnet: 'front' }],
    default: { networkId: testNetworkId, subnet: 'any' },
  };
  const chosen = {
    ...{ nic: 'b', isIncluded: true, isPrimary: true },
    failover: { networkId, subnet: 'back', staticIp: '10.0.2.9' },
    test: noNicTarget,
  };

  it('come from the adapter, else from the mapping, else from the default', () => {
    expect(planNics(sources, settings, 'failover')).toEqual([
      { nic: 'a', networkId, subnet: 'front', staticIp: null, isPrimary: true },
      { nic: 'b', networkId: testNetworkId, subnet: 'any', staticIp: null, isPrimary: false },
    ]);
    expect(planNics(sources, { ...settings, nics: [chosen] }, 'failover')[1]).toEqual({
      ...{ nic: 'b', networkId, subnet: 'back', staticIp: '10.0.2.9', isPrimary: true },
    });
  });

  it('of a test are never those of the failover', () => {
    const test = planNics(sources, { ...settings, nics: [chosen] }, 'test');
    expect(test.map((each) => each.networkId)).toEqual([null, null]);
    const asked = planNics(sources, { ...settings, nics: [chosen] }, 'test', testNetworkId);
    expect(asked[1]).toEqual({
      ...{ nic: 'b', networkId: testNetworkId, subnet: 'back', staticIp: null, isPrimary: true },
    });
  });

  it('leave out adapters that are not wanted', () => {
    const nics = planNics(
      sources,
      { ...settings, nics: [{ ...chosen, nic: 'a', isIncluded: false }] },
      'failover',
    );
    expect(nics.map((each) => [each.nic, each.isPrimary])).toEqual([['b', true]]);
  });
});

describe('IPv4', () => {
  it.each(['256.1.1.1', '1.2.3', '01.2.3.4', '1.2.3.4.5', '', ' 1.2.3.4'])('"%s" is no address', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });
  it('knows the edges of a prefix', () => {
    expect(parseIpv4Prefix('10.0.0.77/30')).toEqual({ first: 167_772_236, last: 167_772_239 });
    expect(parseIpv4Prefix('10.0.0.0/33')).toBeUndefined();
    expect(parseIpv4Prefix('0.0.0.0/0')?.last).toBe(2 ** 32 - 1);
    expect(addressProblem('10.0.0.254', '10.0.0.0/24')).toBeUndefined();
    expect(addressProblem('10.0.0.255', '10.0.0.0/24')).toMatch(/keeps/);
  });
});

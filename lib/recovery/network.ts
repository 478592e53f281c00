// Which network each adapter of a recovered machine is put into: what the user chose for the adapter, else the mapping of
// the source's network, else the item's default. A test has choices of its own and never falls back to the real network.
import type { MachineNic, MachineOrder } from '../compute/port.ts';

/** An adapter as the source host reported it. */
export interface SourceNic {
  nic: string;
  /** Name of the network that it is connected to on the source. */
  network: string | null;
  ipAddresses: readonly string[];
}

/** Where an adapter goes. */
export interface NicTarget {
  networkId: string | null;
  subnet: string | null;
  staticIp: string | null;
}

/** What the user chose for one adapter. */
export interface NicSettings {
  nic: string;
  /** A machine is made without the adapters that are not. */
  isIncluded: boolean;
  isPrimary: boolean;
  failover: NicTarget;
  test: NicTarget;
}

/** A source network and its counterpart. */
export interface NetworkMapping {
  sourceNetwork: string;
  networkId: string;
  subnet: string | null;
}

export interface NetworkSettings {
  nics: readonly NicSettings[];
  mappings: readonly NetworkMapping[];
  /** For adapters that nothing else is said of. */
  default: { networkId: string | null; subnet: string | null };
}

export const noNicTarget: NicTarget = { networkId: null, subnet: null, staticIp: null };

/**
 * The adapters of the machine, in the source's order; exactly one is primary unless there is none. `testNetworkId` is the
 * network that a test was asked to run in; it beats the adapter's own choice for tests.
 */
export function planNics(
  sourceNics: readonly SourceNic[],
  settings: NetworkSettings,
  purpose: MachineOrder['purpose'],
  testNetworkId: string | null = null,
): MachineNic[] {
  const chosen = (nic: string) => settings.nics.find((each) => each.nic === nic);
  const included = sourceNics.filter(({ nic }) => chosen(nic)?.isIncluded !== false);
  const primary = included.find(({ nic }) => chosen(nic)?.isPrimary === true) ?? included[0];
  return included.map((source) => {
    const target =
      purpose === 'test'
        ? testTarget(chosen(source.nic), testNetworkId)
        : failoverTarget(source, chosen(source.nic), settings);
    return { nic: source.nic, ...target, isPrimary: source === primary };
  });
}

function failoverTarget(
  source: SourceNic,
  chosen: NicSettings | undefined,
  settings: NetworkSettings,
): NicTarget {
  if (chosen && chosen.failover.networkId !== null) return chosen.failover;
  const mapping = settings.mappings.find(
    ({ sourceNetwork }) => sourceNetwork.toLowerCase() === source.network?.toLowerCase(),
  );
  const place = mapping ?? settings.default;
  return {
    networkId: place.networkId,
    subnet: chosen?.failover.subnet ?? place.subnet,
    staticIp: chosen?.failover.staticIp ?? null,
  };
}

function testTarget(chosen: NicSettings | undefined, testNetworkId: string | null): NicTarget {
  const own = chosen?.test ?? noNicTarget;
  if (testNetworkId === null || testNetworkId.toLowerCase() === own.networkId?.toLowerCase()) return own;
  // A subnet of the same name in the network of the test is what people mean; an address is theirs to choose.
  const subnet = own.subnet ?? chosen?.failover.subnet ?? null;
  return { networkId: testNetworkId, subnet, staticIp: own.staticIp };
}

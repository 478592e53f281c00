// Unit prices: what the estimate multiplies with. List prices in US dollars, pay as you go, region East US, as noted on the
// date below; other regions, currencies and contracts differ, so every one can be given anew.

/** When the defaults were noted. */
export const pricesNotedOn = '2026-11';
export const priceBasis = 'US dollars, list prices for pay as you go, East US';

interface Price {
  value: number;
  /** What the price is for. */
  unit: string;
}

const price = (value: number, unit: string): Price => ({ value, unit });

export const defaultPrices = {
  pageBlobGiBMonth: price(0.045, 'GiB of page blob and snapshot, month, LRS'),
  blockBlobGiBMonth: price(0.0184, 'GiB of block blob, month, hot, LRS'),
  writes10k: price(0.055, '10,000 writes to blobs (assumed alike for page and block blobs)'),
  reads10k: price(0.0044, '10,000 reads of blobs and other requests'),
  tableRequests10k: price(0.00036, '10,000 requests to tables and queues'),
  computeGiBSecond: price(0.000026, 'GiB second of a Flex Consumption instance that works'),
  executionsMillion: price(0.4, 'million executions on Flex Consumption'),
  freeGiBSeconds: price(100_000, 'GiB seconds free in a month, for the subscription'),
  freeExecutions: price(250_000, 'executions free in a month, for the subscription'),
  eventsMillion: price(0.6, 'million events'),
  freeEvents: price(100_000, 'events free in a month'),
  logGiB: price(2.3, 'GiB of logs'),
  freeLogGiB: price(5, 'GiB of logs free in a month'),
  logAlertMonth: price(1.5, 'log alert that looks every five minutes, month'),
  metricAlertMonth: price(0.1, 'metric alert, month'),
  privateEndpointHour: price(0.01, 'hour of a private endpoint'),
  privateGiB: price(0.01, 'GiB through a private endpoint'),
  siteRecoveryInstanceMonth: price(
    25,
    'machine protected to Azure by Site Recovery, month (the first 31 days are free)',
  ),
  managedDiskGiBMonth: price(0.046, 'GiB of standard HDD managed disk as provisioned, month'),
  diskSnapshotGiBMonth: price(0.05, 'GiB of managed disk snapshot, month'),
} as const satisfies Record<string, Price>;

export type PriceName = keyof typeof defaultPrices;
export type Prices = Readonly<Record<PriceName, number>>;

/** The defaults, with these instead. */
export function pricesWith(overrides: Partial<Prices> = {}): Prices {
  const defaults = Object.entries(defaultPrices).map(([name, { value }]) => [name, value]);
  return { ...(Object.fromEntries(defaults) as Prices), ...overrides };
}

// `lifeboat cost`: a month of protection in money, line by line, beside Site Recovery.
import { estimateCost, estimateSiteRecovery } from '../../lib/cost/estimate.ts';
import type { CostEstimate, CostInput } from '../../lib/cost/estimate.ts';
import { priceBasis, pricesNotedOn, pricesWith } from '../../lib/cost/prices.ts';
import type { Prices } from '../../lib/cost/prices.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';

export interface CostOptions {
  input: CostInput;
  overrides: Partial<Prices>;
  json?: boolean;
}

const money = (amount: number): string => amount.toFixed(2);

function quantityText(quantity: number): string {
  return quantity >= 100
    ? Math.round(quantity).toLocaleString('en-US')
    : String(Math.round(quantity * 10) / 10);
}

function table(title: string, { lines, monthly, monthlyPerMachine }: CostEstimate): string {
  const rows = lines.map(({ what, quantity, unit, monthly: cost }) => [
    what,
    `${quantityText(quantity)} ${unit}`,
    money(cost),
  ]);
  const all = [...rows, ['in all', '', money(monthly)], ['for each machine', '', money(monthlyPerMachine)]];
  const width = (column: number): number => Math.max(...all.map((row) => row[column]?.length ?? 0));
  const text = all.map(
    ([what = '', quantity = '', cost = '']) =>
      `  ${what.padEnd(width(0))}  ${quantity.padStart(width(1))}  ${cost.padStart(width(2))}\n`,
  );
  return `${title}\n${text.join('')}`;
}

/** Prints the estimate. Throws `InvalidRequest` for an impossible input. */
export async function cost(io: Io, { input, overrides, json }: CostOptions): Promise<void> {
  const prices = pricesWith(overrides);
  const lifeboat = estimateCost(input, prices);
  const siteRecovery = estimateSiteRecovery(input, prices);
  if (json === true) {
    const basis = { basis: priceBasis, notedOn: pricesNotedOn, overridden: Object.keys(overrides), prices };
    await print(io, `${JSON.stringify({ input, lifeboat, siteRecovery, ...basis }, null, 2)}\n`);
    return;
  }
  const isOwn = Object.keys(overrides).length > 0 ? ', with your own where you gave them' : '';
  await print(
    io,
    `${table('Lifeboat, a month', lifeboat)}\n${table('Site Recovery, a month', siteRecovery)}\n` +
      `An estimate: ${priceBasis}, noted ${pricesNotedOn}${isOwn}. docs/cost.md has the formula.\n`,
  );
}

// The part of PageBlobPort's contract that is about listing names.
import { expect, test } from 'vitest';
import type { PageBlobPort } from '../../lib/storage/ports.ts';
import { codeOf, freshName } from './outcomes.ts';

const kib = 1024;

export function pageNameSuite(adapter: string, make: () => PageBlobPort): void {
  test(`page blobs (${adapter}): names are listed by prefix, ascending, whatever the blobs hold`, async () => {
    const port = make();
    const prefix = `${freshName('folder')}/`;
    for (const name of ['b/2.vhd', 'a.vhd', 'b/1.vhd']) await port.create(`${prefix}${name}`, kib);
    await port.snapshot(`${prefix}a.vhd`, {});
    const list = async (start: string) => {
      const names: string[] = [];
      for await (const name of port.listNames(start)) names.push(name.slice(prefix.length));
      return names;
    };
    expect(await list(prefix)).toEqual(['a.vhd', 'b/1.vhd', 'b/2.vhd']);
    expect(await list(`${prefix}b/`)).toEqual(['b/1.vhd', 'b/2.vhd']);
    expect(await list(`${prefix}c`)).toEqual([]);
  });

  test(`page blobs (${adapter}): an empty name is refused`, async () => {
    expect(await codeOf(make().create('', 512))).toBe('InvalidName');
  });
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  azureNameFrom,
  azureNameProblem,
  azureNameRules,
  type AzureNameKind,
} from '../../../lib/recovery/azureNames.ts';

describe('names for Azure', () => {
  it.each<[AzureNameKind, string]>([
    ['virtualMachine', 'web01'],
    ['virtualMachine', 'a'],
    ['virtualMachine', 'x'.repeat(63)],
    ['disk', 'web01-os_1.2'],
    ['disk', 'd_'],
    ['networkInterface', 'web01-nic0'],
    ['virtualNetwork', 'vn'],
    ['resourceGroup', 'rg-(prod)-ü'],
  ])('%s "%s" is good', (kind, name) => {
    expect(azureNameProblem(kind, name)).toBeUndefined();
  });

  it.each<[AzureNameKind, string, RegExp]>([
    ['virtualMachine', '', /has no name/],
    ['virtualMachine', 'x'.repeat(64), /64 characters; Azure allows 63/],
    ['virtualMachine', 'web_01', /letters, digits and "-"/],
    ['virtualMachine', '-web', /not allowed/],
    ['virtualMachine', 'web-', /not allowed/],
    ['virtualMachine', '12345', /digits only/],
    ['virtualMachine', 'My-Windows-Box', /"windows".*reserves/],
    ['virtualMachine', 'LOGIN1', /"login"/],
    ['virtualMachine', 'azure', /"azure"/],
    ['disk', 'os disk', /not allowed/],
    ['disk', 'os-', /not allowed/],
    ['disk', 'x'.repeat(81), /Azure allows 80/],
    ['virtualNetwork', 'v', /at least two/],
    ['resourceGroup', 'rg.', /not ending with/],
  ])('%s "%s" is refused with a reason', (kind, name, reason) => {
    expect(azureNameProblem(kind, name)).toMatch(reason);
  });

  it('a name made from any text is good, the same each time, and keeps its suffix', () => {
    const kinds = Object.keys(azureNameRules).filter((kind) => kind !== 'virtualNetwork') as AzureNameKind[];
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom('Windows 2022', 'login', '0815', 'x'.repeat(200)),
        ),
        fc.constantFrom('', '-test', '-1a2b3c4d'),
        (kind, text, suffix) => {
          const name = azureNameFrom(kind, text, suffix);
          expect(azureNameProblem(kind, name)).toBeUndefined();
          expect(name.endsWith(suffix)).toBe(true);
          expect(azureNameFrom(kind, text, suffix)).toBe(name);
        },
      ),
    );
  });

  it('keeps a good name as it is', () => {
    expect(azureNameFrom('virtualMachine', 'web01')).toBe('web01');
    expect(azureNameFrom('virtualMachine', 'Büro Server (alt)', '-test')).toBe('Buro-Server-alt-test');
  });
});

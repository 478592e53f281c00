import { expect, it } from 'vitest';
import { errorCatalogue, type ErrorKind } from '../../../lib/errors.ts';
import { sourceErrorCodes, sourceFailure } from '../../../lib/retry/catalogue.ts';

const codesOf = (kind: ErrorKind) => sourceErrorCodes.filter((code) => errorCatalogue[code].kind === kind);

it('the codes of the source have the kinds that Hyper-V Replica gives them; what only an administrator can mend is fatal', () => {
  expect(codesOf('fatal')).toEqual([
    'BrokenVhdChain',
    'InvalidReplicaState',
    'NetworkAuthenticationFailed',
    'AuthenticationFailed',
    'VmNotFound',
    'PowerNotConfigured',
    'SourceDiskUnknown',
  ]);
  expect(codesOf('divergent')).toEqual(['TrackingLost', 'DiskChangedOffline']);
  expect(codesOf('transient')).toEqual(
    expect.arrayContaining(['NetworkUnavailable', 'LowDiskSpace', 'LowMemory']),
  );
  expect(codesOf('invalid')).toEqual([]);
});

it('a report with a code of the service is refused', () => {
  expect(sourceFailure.safeParse({ code: 'LowMemory', message: 'm' }).success).toBe(true);
  const issue = sourceFailure.safeParse({ code: 'StorageDenied', message: 'm' }).error?.issues[0];
  expect(issue?.path).toEqual(['code']);
  expect(issue?.message).toMatch(
    /^"StorageDenied" is not a code that a source reports; one of BrokenVhdChain, /,
  );
});

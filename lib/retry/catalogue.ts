// What a source host can report about a machine that it could not replicate. Kinds, causes and actions are rows of the one
// catalogue in lib/errors.ts; this list says which of its codes a host may use.
import * as z from 'zod';
import type { ErrorCode } from '../errors.ts';

export const sourceErrorCodes = [
  'BrokenVhdChain',
  'InvalidReplicaState',
  'NetworkAuthenticationFailed',
  'AuthenticationFailed',
  'VmNotFound',
  'NetworkUnavailable',
  'LowDiskSpace',
  'LowMemory',
  'SourceBusy',
  'SourceReadFailed',
  'SnapshotFailed',
  'VssWriterFailed',
  'GuestServicesUnavailable',
  'TrackingLost',
  'DiskChangedOffline',
  'SourceMachineRunning',
  'PowerNotConfigured',
  'SourceDiskUnknown',
] as const satisfies readonly ErrorCode[];

/** A failure as a host reports it. Codes that only the service can know are refused. */
export const sourceFailure = z.object({
  code: z.enum(sourceErrorCodes, {
    error: ({ input }) =>
      `${JSON.stringify(input)} is not a code that a source reports; one of ${sourceErrorCodes.join(', ')}`,
  }),
  message: z.string().min(1).max(4096),
});

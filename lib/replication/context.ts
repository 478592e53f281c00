// What replication needs from outside, as one value.
import type { Clock, NewId } from '../clock.ts';
import type { ComputeProvider } from '../compute/port.ts';
import type { FaultPoint } from '../faults/points.ts';
import type { OutboundPort } from '../plans/outbound.ts';
import type { ScratchSpace } from '../merge/scratch.ts';
import type { Storage } from '../storage/ports.ts';
import { noTelemetry } from '../telemetry/telemetry.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { PolicyRecord } from '../vault/policies.ts';

/** Whether a cycle's writes are read back and compared with its logs before the recovery point is recorded. */
export type VerifyMode = 'none' | 'readback';

export interface ReplicationContext {
  storage: Storage;
  clock: Clock;
  newId: NewId;
  fault: FaultPoint;
  /** `none` when omitted. */
  verify?: VerifyMode;
  /** The policy of the item that is worked on, where it is known. */
  policy?: PolicyRecord;
  /** Days without a good test failover after which health warns; 180 when omitted. */
  testDueDays?: number;
  /** What makes machines of recovered disks; only failovers need it. */
  compute?: ComputeProvider;
  /** Calls the addresses that people have written into recovery plans; nobody does when omitted. */
  outbound?: OutboundPort;
  /** The recovery plan, and its job, for which jobs are begun: they name both, and wait for their turn in it. */
  onBehalfOf?: { jobId: string; plan: string };
  /** Where logs are kept between their check and their merge when memory is full; they are read again when omitted. */
  scratch?: ScratchSpace;
  /** One line for the operator's log; no secrets. */
  log: (message: string) => void;
  /** Measures and traces; nobody does when omitted. */
  telemetry?: Telemetry;
}

export const telemetryOf = ({ telemetry }: Pick<ReplicationContext, 'telemetry'>): Telemetry =>
  telemetry ?? noTelemetry;

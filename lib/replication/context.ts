// What replication needs from outside, as one value.
import type { Clock, NewId } from '../clock.ts';
import type { FaultPoint } from '../faults/points.ts';
import type { Storage } from '../storage/ports.ts';

/** Whether a cycle's writes are read back and compared with its logs before the recovery point is recorded. */
export type VerifyMode = 'none' | 'readback';

export interface ReplicationContext {
  storage: Storage;
  clock: Clock;
  newId: NewId;
  fault: FaultPoint;
  /** `none` when omitted. */
  verify?: VerifyMode;
  /** How often the item's policy wants a cycle; for its statistics. */
  intervalSeconds?: number;
  /** One line for the operator's log; no secrets. */
  log: (message: string) => void;
}

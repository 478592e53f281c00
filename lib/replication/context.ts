// What replication needs from outside, as one value.
import type { Clock, NewId } from '../clock.ts';
import type { FaultPoint } from '../faults/points.ts';
import type { Storage } from '../storage/ports.ts';

export interface ReplicationContext {
  storage: Storage;
  clock: Clock;
  newId: NewId;
  fault: FaultPoint;
  /** One line for the operator's log; no secrets. */
  log: (message: string) => void;
}

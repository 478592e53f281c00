// What may be asked of an item now: the state machine's row, less what the rest of the item forbids. Every user interface
// shows this list, and every request is held to it.
import { LifeboatError } from '../errors.ts';
import type { ItemRecord } from './item.ts';
import { describeState, operations, stateAllows } from './states.ts';
import type { Operation } from './states.ts';

/** True when the item allows the operation now. */
export function allows(record: ItemRecord, operation: Operation): boolean {
  if (!stateAllows(record.state, operation)) return false;
  // Disabling takes over from whatever runs; everything else waits for it.
  if (operation === 'DisableProtection') return true;
  if (operation === 'PauseReplication' || operation === 'UpdateProtection') return true;
  if (operation === 'TestFailover') return record.currentJob === null && record.testFailover === null;
  if (operation === 'TestFailoverCleanup') return record.currentJob === null && record.testFailover !== null;
  return record.currentJob === null;
}

export const allowedOperations = (record: ItemRecord): Operation[] =>
  operations.filter((operation) => allows(record, operation));

/** Throws `OperationNotSupportedInState` when the item's state does not allow the operation. */
export function requireOperation(record: ItemRecord, operation: Operation): void {
  if (stateAllows(record.state, operation)) return;
  const message = `${operation} is not possible while protected item "${record.name}" is in state ${record.state} (${describeState(record.state)}).`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
}

// Errors of a job and its tasks as answers carry them.
import { errorCatalogue } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';

/** What clients show for "not yet". */
export const noTime = '0001-01-01T00:00:00Z';

export const jobError = ({ code, message }: ErrorRecord, at: string, taskId: string) => ({
  serviceErrorDetails: {
    ...{ code, message },
    possibleCauses: errorCatalogue[code].possibleCauses,
    recommendedAction: errorCatalogue[code].recommendedAction,
  },
  errorLevel: 'Error',
  creationTime: at,
  taskId,
});

// One row of the error catalogue.

/**
 * How the product reacts: `invalid` = the caller's fault, never retried; `transient` = tried again;
 * `divergent` = the replica may no longer equal the source, resync required; `fatal` = an administrator acts.
 */
export type ErrorKind = 'invalid' | 'transient' | 'divergent' | 'fatal';

export interface CatalogueEntry {
  kind: ErrorKind;
  httpStatus: number;
  possibleCauses: string;
  recommendedAction: string;
}

export const entry = (
  kind: ErrorKind,
  httpStatus: number,
  possibleCauses: string,
  recommendedAction: string,
): CatalogueEntry => ({ kind, httpStatus, possibleCauses, recommendedAction });

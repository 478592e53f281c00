// Names that callers choose for resources below the vault.
import { LifeboatError } from '../errors.ts';

const resourceName = /^[A-Za-z0-9]([A-Za-z0-9._ -]{0,126}[A-Za-z0-9_-])?$/;

/** Returns the name if rows and ids can carry it; throws `InvalidName` naming `what` otherwise. */
export function requireResourceName(name: string, what: string): string {
  if (!resourceName.test(name)) {
    const message = `The name of the ${what}, "${name.slice(0, 80)}", must match ${resourceName.source}.`;
    throw new LifeboatError('InvalidName', message, { target: what });
  }
  return name;
}

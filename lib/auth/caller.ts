// Who sent a request, once its credentials were checked. Handlers ask this value and never the headers.
import { LifeboatError } from '../errors.ts';

/** What a person or a program may do with the vault; each role includes the ones before it. */
export const roles = ['Reader', 'Operator', 'Owner'] as const;
export type Role = (typeof roles)[number];

/** A person or a program with a role: an Entra token, or the local admin key (always Owner). */
export interface PrincipalCaller {
  kind: 'principal';
  /** Object id of the token's subject; `adminKey` for the local key. */
  id: string;
  /** For people who read the audit; never compared. */
  name: string;
  role: Role;
}

/** A source host that enrolled itself for one site. */
export interface HostCaller {
  kind: 'host';
  /** GUID that enrolment gave. */
  id: string;
  /** Name of the host as its inventory reports carry it. */
  name: string;
  /** Name of the site (fabric) that it was enrolled for. */
  fabric: string;
}

/** Nobody: only requests that prove themselves by their body (enrolment, tokens) get that far. */
export interface AnonymousCaller {
  kind: 'anonymous';
}

export type Caller = PrincipalCaller | HostCaller | AnonymousCaller;

export const hasRole = (caller: Caller, role: Role): boolean =>
  caller.kind === 'principal' && roles.indexOf(caller.role) >= roles.indexOf(role);

/**
 * Whether the caller may see and change what belongs to this machine on the source side: a host only when the machine is in
 * its own inventory (same site, and the inventory names this host), an Owner always.
 */
export function mayServeMachine(caller: Caller, machine: { fabric: string; host: string }): boolean {
  if (caller.kind !== 'host') return hasRole(caller, 'Owner');
  return same(caller.fabric, machine.fabric) && same(caller.name, machine.host);
}

/** Throws `Forbidden` unless the caller speaks for this host of this site (see `mayServeMachine`). */
export function requireHost(caller: Caller, machine: { fabric: string; host: string }): void {
  if (mayServeMachine(caller, machine)) return;
  const message = `This caller may not act for host "${machine.host}" of site "${machine.fabric}".`;
  throw new LifeboatError('Forbidden', message, { target: machine.host });
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

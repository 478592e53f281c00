// The one way in which the service calls an address that a person has written into a plan. Whoever implements it decides which
// addresses may be called; lib/plans knows nothing of networks.

/** What came of one call. */
export type OutboundAnswer =
  | { kind: 'answered'; status: number; text: string }
  /** A TCP connection came about. */
  | { kind: 'connected' }
  /** Nobody answered in time, or the connection broke: another try may work. */
  | { kind: 'unreachable'; reason: string }
  /** The address is one that the service does not call. */
  | { kind: 'refused'; reason: string };

export interface OutboundRequest {
  /** `https:`, `http:` or `tcp:`. */
  url: string;
  method: 'GET' | 'POST';
  headers: Readonly<Record<string, string>>;
  body?: string;
  timeoutSeconds: number;
}

export interface OutboundPort {
  /**
   * Calls once, without following redirects; at most 1,024 characters of the answer are read. Never throws for what the other
   * side does. The name is resolved once, and the connection goes to the very address that was checked.
   */
  call(request: OutboundRequest): Promise<OutboundAnswer>;
  /** Why the address would be refused, as far as can be said without asking the network; undefined = it may be called. */
  refusalOf(url: string): string | undefined;
}

// How much patience and room the host has for one client. The figures are those of the web server that runs the real
// host, where it has any: a client that sends its headers byte by byte, or stops in the middle of a body, must not hold
// a connection for ever.

export interface ConnectionLimits {
  /** Further connections are closed at once. */
  maxConnections: number;
  /** All header lines of a request together; more is answered 431. */
  maxHeaderBytes: number;
  /** From the first byte to the last header line, else 408. */
  headersTimeoutMs: number;
  /** A connection without a request is closed after this time. */
  keepAliveTimeoutMs: number;
  tlsHandshakeTimeoutMs: number;
  /** How often the two times above and the body rate are looked at. */
  checkIntervalMs: number;
  /** The body of a request must bring `minBodyBytesPerSecond` in every such time, else 408. */
  bodyWindowMs: number;
  minBodyBytesPerSecond: number;
}

export const defaultConnectionLimits: ConnectionLimits = {
  maxConnections: 1000,
  maxHeaderBytes: 32 * 1024,
  headersTimeoutMs: 30_000,
  keepAliveTimeoutMs: 75_000,
  tlsHandshakeTimeoutMs: 10_000,
  checkIntervalMs: 5_000,
  bodyWindowMs: 30_000,
  minBodyBytesPerSecond: 240,
};

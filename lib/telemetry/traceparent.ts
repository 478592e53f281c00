// W3C Trace Context, the part that travels in blob metadata and rows: version-traceid-parentid-flags.

export interface TraceContext {
  traceId: string;
  spanId: string;
  isSampled: boolean;
}

/** The metadata key of an uploaded log. */
export const traceparentKey = 'traceparent';

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The context, or undefined when the text is none: anybody may write metadata, and a wrong one must not hurt. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const match = text === undefined || text.length > 512 ? null : pattern.exec(text);
  if (!match) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match;
  // Version 00 has nothing behind the flags, later ones may; ff is forbidden, and so are ids of zeros.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The trace that a `traceparent` belongs to, 32 hex digits; undefined when it is none. */
export const traceIdOf = (traceparent: string | undefined): string | undefined =>
  parseTraceparent(traceparent)?.traceId;

/** The valid ones in their normal form, each once: what foreign metadata may bring into spans and logs. */
export function validTraceparents(given: Iterable<string | undefined>): string[] {
  const valid = [...given].map(parseTraceparent).filter((context) => context !== undefined);
  return [...new Set(valid.map(formatTraceparent))];
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

// Work that can be long stops well before the function timeout of host.json (30 minutes): draining between two cycles, an
// activity between two pieces.
const drainMinutes = 15;
const activityMinutes = 5;
/** The next tick comes within a minute. */
const tickMinutes = 0.75;

const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);

export const drainUntil = (): Date => inMinutes(drainMinutes);
export const tickUntil = (): Date => inMinutes(tickMinutes);
export const activityUntil = (): Date => inMinutes(activityMinutes);

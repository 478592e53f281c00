// Work that can be long stops between two cycles well before the function timeout of host.json (30 minutes).
const drainMinutes = 15;

export const drainUntil = (): Date => new Date(Date.now() + drainMinutes * 60_000);

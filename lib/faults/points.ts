// Named places where a process may die. Production passes `noFaults`; a sweep test records the names that a clean
// run passes and then crashes at each of them in turn (docs/replication-algorithm.md lists what must follow).

/** Called with the name of the place; a test throws from it to simulate the death of the process there. */
export type FaultPoint = (name: string) => void;

export const noFaults: FaultPoint = () => undefined;

// Work on the memory ports never waits for I/O, so that a file of such tests keeps the event loop to itself; the runner, which
// wants an answer within a minute, must have its turn. Long loops inside one test take it themselves.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach } from 'vitest';

afterEach(() => nextTurn());

// A program as an administrator would write it to hold the writes of a machine: whoever writes its disks owns the folder
// LIFEBOAT_TEST_HOLD while it does. LIFEBOAT_TEST_FAULT: `refuse` does not hold, `early` lets go by itself, `deaf` does not let go.
import { mkdirSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const { LIFEBOAT_TEST_HOLD: folder, LIFEBOAT_TEST_FAULT: fault } = process.env;
if (fault === 'refuse') {
  console.error('the guest does not answer');
  process.exit(1);
}
for (let isHeld = false; !isHeld;) {
  try {
    mkdirSync(folder);
    isHeld = true;
  } catch {
    await sleep(2);
  }
}
const letGo = (exitCode) => {
  rmdirSync(folder);
  process.exit(exitCode);
};
console.log('held');
if (fault === 'early') setTimeout(() => letGo(1), 20);
if (fault === 'deaf') setTimeout(() => undefined, 60_000);
process.stdin.resume().on('end', () => {
  if (fault !== 'deaf') letGo(0);
});

// A program as an administrator would write it for a tracker of kind `program`: it copies raw images, and compares the copies.
// Its state is in LIFEBOAT_TEST_STATE. LIFEBOAT_TEST_FAULT makes it fail in a way. With LIFEBOAT_TEST_TRUTH it keeps every
// frozen state there, under the time at which it was taken. Whoever writes the images holds the folder `<state>.lock`.
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { LIFEBOAT_TEST_STATE: state, LIFEBOAT_TEST_FAULT: fault, LIFEBOAT_SINCE: since } = process.env;
const { LIFEBOAT_TEST_TRUTH: truth } = process.env;
const nameOf = ({ disk, location }) => `${disk}${extname(location) === '.raw' ? '' : extname(location)}`;
const { LIFEBOAT_REFERENCE: reference } = process.env;
const disks = JSON.parse(process.env.LIFEBOAT_DISKS);
const block = 4096;
const keepOnly = (...names) => {
  for (const name of existsSync(state) ? readdirSync(state) : [])
    if (!names.includes(name)) rmSync(join(state, name), { recursive: true });
};

function changesOf(disk, to) {
  if (!existsSync(join(state, since, disk))) return null;
  const [before, after] = [since, to].map((name) => readFileSync(join(state, name, disk)));
  const extents = [];
  for (let offset = 0; offset < after.length; offset += block) {
    const end = Math.min(offset + block, after.length);
    if (before.compare(after, offset, end, offset, end) !== 0) extents.push({ offset, length: end - offset });
  }
  const covered = fault === 'partial' ? after.length - block : after.length;
  return {
    version: 1,
    diskSize: after.length,
    from: since,
    to,
    extents,
    coverage: [{ offset: 0, length: covered }],
  };
}

const verbs = {
  async freeze() {
    if (since && !existsSync(join(state, since))) {
      console.error(`no state ${since}`);
      process.exit(3);
    }
    const to = `r-${process.hrtime.bigint()}`;
    mkdirSync(join(state, to), { recursive: true });
    for (let isLocked = false; !isLocked;) {
      try {
        mkdirSync(`${state}.lock`);
        isLocked = true;
      } catch {
        await sleep(5);
      }
    }
    const takenAt = new Date().toISOString();
    for (const each of disks) copyFileSync(each.location, join(state, to, nameOf(each)));
    rmSync(`${state}.lock`, { recursive: true });
    if (truth) {
      mkdirSync(join(truth, takenAt), { recursive: true });
      for (const each of disks) linkSync(join(state, to, nameOf(each)), join(truth, takenAt, nameOf(each)));
    }
    if (fault === 'freeze') {
      console.error('the snapshot is broken');
      process.exit(1);
    }
    const frozen = disks.map((each) => ({
      disk: each.disk,
      path: join(state, to, nameOf(each)),
      ...(since ? { changes: changesOf(each.disk, to) } : {}),
    }));
    console.log(fault === 'text' ? 'done!' : JSON.stringify({ reference: to, takenAt, disks: frozen }));
  },
  confirm: () => keepOnly(reference),
  abort: () => keepOnly(since),
};
await verbs[process.argv.at(-1)]();

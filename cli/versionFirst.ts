// `lifeboat --version` answers before the rest of the command is set up, which would take most of the time.
import { writeSync } from 'node:fs';
import packageJson from '../package.json' with { type: 'json' };
import { exitCodes } from './exitCodes.ts';

/** Its stream is not needed, and takes time to make. */
const standardOutput = 1;
const [flag, ...others] = process.argv.slice(2);
if (flag === '--version' && others.length === 0) {
  try {
    writeSync(standardOutput, `${packageJson.version}\n`);
    process.exit(exitCodes.ok);
  } catch {
    // What is wrong with the output is said by the ordinary way.
  }
}

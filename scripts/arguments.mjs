// Arguments of the scripts: flags only. Uses nothing that an old Node does not have.
import { basename } from 'node:path';

/** The flags that were given. With any other argument the process ends with exit code 2, before anything was done. */
export function flagsOf(...known) {
  const given = process.argv.slice(2);
  const unknown = given.find((argument) => !known.includes(argument));
  if (unknown === undefined) return new Set(given);
  const choice = known.length === 0 ? 'It takes none.' : `It takes: ${known.join(', ')}.`;
  console.error(`${basename(process.argv[1])}: the argument ${unknown} is not known. ${choice}`);
  process.exit(2);
}

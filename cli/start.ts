// Where the one file `lifeboat.mjs` begins. After this the file holds the program, each of its lines as a comment: Node passes over
// comments several times faster than over code, and what is asked for first is often no more than the version.
// scripts/commandBundle.mjs puts the two together.
import './versionFirst.ts';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { compileFunction } from 'node:vm';

/** Begins each line of the program, the first one included; nothing before the program contains it. */
const lineStart = '\n//';
const file = import.meta.filename;
const text = readFileSync(file, 'latin1');
const begin = text.indexOf(lineStart);
const code = text.slice(begin + lineStart.length).replaceAll(lineStart, '\n');
// Its lines keep their numbers, so that a stack trace tells where in the file something happened.
const lineOffset = text.slice(0, begin + 1).split('\n').length - 1;
const program = compileFunction(code, ['require'], { filename: file, lineOffset }) as (
  require: NodeJS.Require,
) => void;
program(createRequire(file));

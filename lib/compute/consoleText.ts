// What a guest wrote to its serial console, made readable, and the line in it that proves a boot.

/** Terminal sequences: CSI, OSC, and two-character ones. */
// eslint-disable-next-line no-control-regex -- they are what has to go
const escapeSequence = /\u001b(\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)?|[ -/]*[0-~])/g;
// eslint-disable-next-line no-control-regex -- as above; tab and line feed stay
const controlCharacter = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const loginPrompt = /(^|\s)login:\s*$/i;

/** The text without terminal sequences and control characters; lines end with a line feed. */
export function readableConsole(bytes: Uint8Array): string {
  return new TextDecoder()
    .decode(bytes)
    .replaceAll(escapeSequence, '')
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(controlCharacter, '');
}

/** The first line that has the marker in it, or, when none is asked for, looks like a login prompt. */
export function findBootEvidence(consoleText: string, marker: string | null): string | undefined {
  return consoleText
    .split('\n')
    .find((line) => (marker === null ? loginPrompt.test(line) : line.includes(marker)))
    ?.trim();
}

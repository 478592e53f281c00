// Opens the Node inspector for a debugger on this machine. Node only prints that a port is taken; here it is an error.
import { open, url } from 'node:inspector';
import { StartError } from './startError.ts';

/** Does nothing without a port; 0 lets the system choose. Throws StartError when the port is taken. */
export function openInspector(port: number | undefined): void {
  if (port === undefined) return;
  open(port, '127.0.0.1');
  if (url() === undefined) {
    throw new StartError(
      `The inspector cannot listen on port ${port} of 127.0.0.1; another program uses it. Choose another one: --inspect 0.`,
    );
  }
}

// What a call throws, as a value to compare.
import { AgentError } from '../../agent/agentError.ts';
import { LifeboatError } from '../../lib/errors.ts';

function codeOfError(error: unknown): string {
  if (error instanceof LifeboatError || error instanceof AgentError) return error.code;
  return error instanceof Error ? error.name : String(error);
}

/** 'ok', or the code of what was thrown, or its name. */
export function codeOfThrown(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    return codeOfError(error);
  }
}

/** The same for a promise. */
export async function codeOfRejected(outcome: Promise<unknown>): Promise<string> {
  return outcome.then(() => 'ok', codeOfError);
}

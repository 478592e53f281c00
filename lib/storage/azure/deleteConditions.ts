// The SDK sends deletions inside a transaction with "If-Match: *", whatever ETag the caller has: a row that somebody
// changed in between would be deleted. This policy puts the ETags in, on the way out. A transaction in which it does
// not find every deletion is not sent at all.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { TableClient } from '@azure/data-tables';

type PipelinePolicy = Parameters<TableClient['pipeline']['addPolicy']>[0];

/** ETags by row key, travelling beside the call that the SDK turns into a request. */
const conditions = new AsyncLocalStorage<ReadonlyMap<string, string>>();

/** Runs `submit`, whose transaction deletes exactly these rows, each only with its ETag. */
export function withDeleteConditions<T>(
  etags: ReadonlyMap<string, string>,
  submit: () => Promise<T>,
): Promise<T> {
  return conditions.run(etags, submit);
}

/** Makes the client send transactions with the conditions of `withDeleteConditions`. */
export function addDeleteConditions(client: TableClient): void {
  // First of all policies: the later ones sign, and set the length of, the body as it is then.
  client.pipeline.addPolicy(deleteConditionPolicy, { phase: 'Serialize' });
}

const deleteConditionPolicy: PipelinePolicy = {
  name: 'deleteConditionPolicy',
  async sendRequest(request, next) {
    const etags = conditions.getStore();
    if (etags !== undefined && etags.size > 0) {
      request.body = conditionDeletes(typeof request.body === 'string' ? request.body : '', etags);
    }
    return next(request);
  },
};

/** The multipart text with `If-Match` of each DELETE set. Throws when the deletions are not exactly those of `etags`. */
export function conditionDeletes(body: string, etags: ReadonlyMap<string, string>): string {
  const found = new Set<string>();
  // One sub-request: its line, then its headers up to the empty line. Header lines have no line breaks inside.
  const deletions = /^(DELETE \S*RowKey='(\S*)'\) HTTP\/1\.1\r\n)((?:[^\r\n]+\r\n)*)/gm;
  const conditioned = body.replace(deletions, (_all, line: string, encodedKey: string, headers: string) => {
    const key = decodeURIComponent(encodedKey).replaceAll("''", "'");
    const etag = etags.get(key);
    const [ifMatch, ...others] = headers.match(/^if-match: .*$/gim) ?? [];
    if (etag === undefined || ifMatch === undefined || others.length > 0 || found.has(key)) {
      throw new Error(`transaction not sent: the deletion of "${key}" cannot be made conditional`);
    }
    found.add(key);
    return line + headers.replace(ifMatch, () => `If-Match: ${etag}`);
  });
  if (found.size !== etags.size) {
    throw new Error(
      `transaction not sent: ${found.size} of ${etags.size} deletions could be made conditional`,
    );
  }
  return conditioned;
}

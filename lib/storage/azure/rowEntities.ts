// How a row lies in the table: its JSON text cut into columns text0, text1, …, because a string column holds 32 Ki
// UTF-16 units. A cut never separates a surrogate pair: half of one cannot be written as UTF-8.
import type { TableEntityResult, TransactionAction } from '@azure/data-tables';
import type { Row, RowWrite } from '../ports.ts';
import { toRowText } from '../rowChecks.ts';

const columnLimitChars = 30_000;

/** The entity with this row's text. */
function toEntity(partition: string, key: string, text: string): Record<string, string> & EntityKeys {
  const columns: Record<string, string> = {};
  let start = 0;
  for (let index = 0; start < text.length; index++) {
    let end = Math.min(start + columnLimitChars, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--;
    columns[`text${index}`] = text.slice(start, end);
    start = end;
  }
  return { ...columns, partitionKey: partition, rowKey: key };
}

/** The row in an entity that `toEntity` made. */
export function toRow(entity: TableEntityResult<Record<string, unknown>>): Row {
  let text = '';
  for (let index = 0; ; index++) {
    const column = entity[`text${index}`];
    if (typeof column !== 'string') break;
    text += column;
  }
  return { key: entity.rowKey ?? '', value: JSON.parse(text) as unknown, etag: entity.etag };
}

/** The SDK's form of a write. Throws `InvalidRequest` for a value that cannot be stored. */
export function toAction(partition: string, write: RowWrite): TransactionAction {
  if (write.kind === 'delete') return ['delete', { partitionKey: partition, rowKey: write.key }];
  const entity = toEntity(partition, write.key, toRowText(write.key, write.value));
  if (write.kind === 'insert') return ['create', entity];
  if (write.kind === 'put') return ['upsert', entity, 'Replace'];
  return ['update', entity, 'Replace', { etag: write.etag }];
}

interface EntityKeys {
  partitionKey: string;
  rowKey: string;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

// Reads what the app's functions left behind: rows of a table in the app's storage (app/functions/effects.mjs writes them).
import { RestError, TableClient } from '@azure/data-tables';

export interface Effect<Detail = unknown> {
  key: string;
  detail: Detail;
}

interface EffectRow {
  partitionKey: string;
  rowKey: string;
  detail: string;
}

export class Effects {
  /** Name of the table; goes into the input of whatever shall leave effects there. */
  readonly table: string;
  readonly #client: TableClient;

  constructor(storageConnectionString: string, table: string) {
    this.table = table;
    this.#client = TableClient.fromConnectionString(storageConnectionString, table, {
      allowInsecureConnection: true,
    });
  }

  /** Effects of one key, oldest first; none when nothing has left any yet. */
  of<Detail = unknown>(key: string): Promise<Effect<Detail>[]> {
    return this.#read<Detail>(`PartitionKey eq '${key.replaceAll("'", "''")}'`);
  }

  /** All effects, by key. */
  all(): Promise<Effect[]> {
    return this.#read();
  }

  /** Removes the table. */
  async delete(): Promise<void> {
    await this.#client.deleteTable();
  }

  async #read<Detail>(filter?: string): Promise<Effect<Detail>[]> {
    const effects: Effect<Detail>[] = [];
    try {
      const queryOptions = filter === undefined ? {} : { filter };
      for await (const row of this.#client.listEntities<EffectRow>({ queryOptions }))
        effects.push({ key: row.partitionKey, detail: JSON.parse(row.detail) as Detail });
    } catch (error) {
      if (!(error instanceof RestError && error.statusCode === 404)) throw error;
    }
    return effects;
  }
}

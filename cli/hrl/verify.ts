// `lifeboat hrl verify`: the same whole check that the service makes before it applies a log.
import { openFileSource } from '../../agent/fileSource.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { headerJson, previousIdText } from './headerFacts.ts';
import { verifyWithProgress } from './verifyProgress.ts';

export interface VerifyOptions {
  diskSize?: number;
  sha256?: string;
  previous?: string;
  json?: boolean;
}

/** Throws HrlError for a log that would be refused. */
export async function verifyLog(io: Io, file: string, options: VerifyOptions): Promise<void> {
  await using source = await openFileSource(pathOf(io, file));
  const { diskSize, sha256: expectedSha256, previous } = options;
  const expected = {
    // Without a disk to compare with every place that the format can name is possible.
    diskSizeBytes: diskSize ?? Number.MAX_SAFE_INTEGER,
    ...(expectedSha256 === undefined ? {} : { sha256: expectedSha256 }),
    ...(previous === undefined ? {} : { previousUniqueId: previous }),
  };
  const { log, sha256, dataBytes } = await verifyWithProgress(
    io,
    { file, source },
    expected,
    options.json === true,
  );
  const entryCount = log.entries.count;
  if (options.json === true) {
    const document = { file, valid: true, sha256, sizeBytes: source.sizeBytes, entryCount, dataBytes };
    await print(io, `${JSON.stringify({ ...document, header: headerJson(log.header) })}\n`);
    return;
  }
  const facts = formatFacts([
    ['valid', file],
    ['id', log.header.uniqueId],
    ['previous id', previousIdText(log.header.previousUniqueId)],
    ['writes', entryCount],
    ['data', `${dataBytes} (${formatBytes(dataBytes)})`],
    ['sha256', sha256],
  ]);
  await print(io, facts);
}

// Opens the logs that a command names and verifies them as a chain, with progress.
import { openFileSource, type FileSource } from '../../agent/fileSource.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { readLogChain, type LogChain, type NamedLog } from '../../lib/merge/logChain.ts';
import { pathOf, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';

/** What the command line knows about the logs. */
export interface LogExpectations {
  diskSize?: number;
  previous?: string;
  json?: boolean;
}

/** Verified logs, open until disposed. */
export interface OpenChain extends LogChain, AsyncDisposable {
  /** Sum of the sizes of the files. */
  inputBytes: number;
}

/** Reports every read; nothing else is different. */
function watchedSource(
  source: RandomAccessSource,
  onRead: (lengthBytes: number) => void,
): RandomAccessSource {
  return {
    sizeBytes: source.sizeBytes,
    ...(source.readCostBytes !== undefined && { readCostBytes: source.readCostBytes }),
    read(offsetBytes, lengthBytes) {
      onRead(lengthBytes);
      return source.read(offsetBytes, lengthBytes);
    },
  };
}

/** Throws AgentError for a file, HrlError for a log that is wrong or does not follow the one before it. */
export async function openChain(
  io: Io,
  files: readonly string[],
  { diskSize, previous, json = false }: LogExpectations,
): Promise<OpenChain> {
  const opened: FileSource[] = [];
  const closeAll = async (): Promise<void> => {
    for (const source of opened) await source.close();
  };
  try {
    for (const file of files) opened.push(await openFileSource(pathOf(io, file)));
    const inputBytes = opened.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const progress = startProgress(io, 'verifying', inputBytes, json);
    let readBytes = 0;
    let isVerifying = true;
    const onRead = (lengthBytes: number): void => {
      if (!isVerifying) return;
      readBytes += lengthBytes;
      progress.report(Math.min(readBytes, inputBytes));
    };
    const logs = opened.map((file, index): NamedLog => {
      return { name: files[index] ?? file.path, source: watchedSource(file, onRead) };
    });
    const chain = await readLogChain(logs, {
      ...(diskSize === undefined ? {} : { diskSizeBytes: diskSize }),
      ...(previous === undefined ? {} : { previousUniqueId: previous }),
      signal: io.signal,
    }).finally(async () => {
      isVerifying = false;
      await progress.end();
    });
    return { ...chain, inputBytes, [Symbol.asyncDispose]: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

// Logs that were refused, or wait.
import { entry } from './entry.ts';

const sendAgain =
  'Upload a correct log under the same name. The refused file is kept in the container "quarantine".';
const damaged = 'The file was damaged on its way, or was not written by a correct [MS-HRL] writer.';

export const logsErrors = {
  LogNotHrl: entry('invalid', 400, 'The file is not a Hyper-V Replica Log.', sendAgain),
  LogVersionUnsupported: entry('invalid', 400, 'The log has a format version other than 1 or 2.', sendAgain),
  LogNotClosed: entry(
    'invalid',
    400,
    'The log was uploaded while its writer still had it open (EOLLocation is 0).',
    'Upload the log after it was closed, under the same name.',
  ),
  LogTruncated: entry('invalid', 400, 'The upload ended early, or the file was cut.', sendAgain),
  LogHeaderCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogMetadataCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogEntryCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogDataCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogTooLarge: entry(
    'invalid',
    400,
    'The log has more than 16 Mi write entries or 1 Mi metadata blocks.',
    'Cut logs more often, or join neighbouring writes into one entry.',
  ),
  LogEntryUnaligned: entry('invalid', 400, 'A write entry is not a multiple of 512 bytes.', sendAgain),
  LogEntryOutOfBounds: entry(
    'invalid',
    400,
    'The log belongs to another disk, or the disk grew on the source.',
    'Check the disk id in the blob name; for a grown disk protect the item again.',
  ),
  LogDigestMismatch: entry(
    'invalid',
    400,
    'The bytes that arrived are not the bytes that the sender hashed.',
    sendAgain,
  ),
  LogChainBroken: entry(
    'divergent',
    409,
    'A log between the last applied one and this one is missing, or it belongs to another chain.',
    'Upload the log that follows the last applied one. If it is lost, resynchronize the item.',
  ),
  LogConflict: entry(
    'invalid',
    409,
    'A different log was uploaded under the name of a cycle that is already applied.',
    'Give every cycle a new number. The recovery point of that cycle is unchanged.',
  ),
  LogUnexpected: entry(
    'invalid',
    409,
    'The name has a disk that the item does not protect, or is not <item>/<cycle>/<disk>.hrl with 12 digits.',
    'Check the name against GET /agent/v1/assignments.',
  ),
  LogChanged: entry(
    'transient',
    409,
    'The log was uploaded again while it was being read.',
    'Nothing to do: it is read again.',
  ),
  LogsMissing: entry(
    'transient',
    409,
    'Logs of a later cycle arrived, but a log before them did not.',
    'Upload the named logs; the later cycles wait for them.',
  ),
};

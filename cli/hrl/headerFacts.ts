// A log's header in the form that the commands print.
import { nilGuid, type HrlHeader } from '../../lib/hrl/format.ts';

/** The JSON form of a header: GUIDs as text, times as ISO text, sizes in bytes. */
export function headerJson(header: HrlHeader) {
  return {
    version: header.version,
    uniqueId: header.uniqueId,
    previousUniqueId: header.previousUniqueId,
    createdAt: header.createdAt.toISOString(),
    lastModifiedAt: header.lastModifiedAt.toISOString(),
    creatorApplication: header.creatorApplication.trimEnd(),
    creatorVersion: header.creatorVersion,
    endOfLogBytes: header.endOfLogBytes,
    metadataSizeBytes: header.metadataSizeBytes,
    totalMetadataEntries: header.totalMetadataEntries,
    errorCode: header.errorCode,
    vhd2DataWriteGuid: header.vhd2DataWriteGuid ?? null,
  };
}

/** The id of the log before, for people. */
export function previousIdText(previousUniqueId: string): string {
  return previousUniqueId === nilGuid ? 'none: the log starts a chain' : previousUniqueId;
}

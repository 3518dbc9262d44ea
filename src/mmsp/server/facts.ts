import type { AsfHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import type { Program } from '../../playback/content.js';
import type { Entry } from '../../playback/entry.js';
import { FILE_ATTRIBUTE, type FileFacts } from '../messages/server.js';

/** The description of an entry for a client, and the header to send. */
export interface EntryFacts {
  readonly facts: FileFacts;
  /** Header Object and the first 50 bytes of the Data Object. */
  readonly header: Buffer;
}

/**
 * Describes an entry for ReportOpenFile and ReportStreamChange (MS-MMSP 2.2.4.7, 2.2.4.12).
 *
 * Live content has only the attribute "broadcast": players take 0x06000000 for seekable.
 */
export function factsOf(header: AsfHeader, entry: Entry, program: Program): EntryFacts {
  const { bytes } = playerHeader(header);
  const isFile = entry.kind === 'file';
  const attributes = isFile
    ? (entry.noSkip ? 0 : FILE_ATTRIBUTE.canSeek) |
      (entry.file.stridable && !entry.noSkip ? FILE_ATTRIBUTE.canStride : 0)
    : FILE_ATTRIBUTE.broadcast;
  return {
    header: bytes,
    facts: {
      attributes: attributes | (program.playlist ? FILE_ATTRIBUTE.playlist : 0),
      duration: isFile ? durationOf(entry) / 1_000 : 0,
      packetSize: header.packetSize,
      packetCount: isFile ? entry.file.packetCount : 0,
      bitRate: Math.max(1, header.fileProperties.maximumBitrate),
      headerSize: bytes.length,
    },
  };
}

/** In ms. */
function durationOf({
  file,
  begin = 0,
  duration = Number.POSITIVE_INFINITY,
}: Extract<Entry, { kind: 'file' }>): number {
  return Math.max(0, Math.min(file.durationMs - begin, duration));
}

import { withFileProperties } from '../../asf/edit.js';
import { type AsfHeader, buildHeader, DATA_OBJECT_HEAD_SIZE, FILE_FLAG } from '../../asf/header.js';
import type { MediaTimes } from './measure.js';

/** What the header of a file is made of. */
export interface StoredFile {
  /** As it stands in the file. */
  readonly stored: AsfHeader;
  readonly packetSize: number;
  readonly packetCount: number;
  readonly complete: boolean;
  readonly recordings: number;
  /** Bytes of everything but the header. */
  readonly dataSize: number;
  /** The packets are as they stand in the file, and no others. */
  readonly untouched: boolean;
  readonly times: MediaTimes;
}

const HUNDRED_NS_PER_MS = 10_000;
/** What a header says of the duration may be wrong by so much, or by a tenth, and is still taken. Milliseconds. */
const LARGEST_ERROR = 10_000;
/** Live headers of Microsoft's encoder set it beside Broadcast (asf.md 3.1). */
const LIVE_FLAG = 8;

/** Play Duration of the header without the preroll, ms; 0 when it says none. */
function declaredDuration({ fileProperties: { playDuration }, preroll }: AsfHeader): number {
  return Math.max(Math.floor(Number(playDuration) / HUNDRED_NS_PER_MS) - preroll, 0);
}

const measuredDuration = ({ times }: StoredFile): number => Math.max(times.end - times.preroll, 0);

/** Whether what the header says of the duration is right for the packets that players get. */
function isDeclared(file: StoredFile): boolean {
  const declared = declaredDuration(file.stored);
  const measured = measuredDuration(file);
  const isNear = Math.abs(declared - measured) <= Math.max(LARGEST_ERROR, measured / 10);
  return file.untouched && file.complete && declared > 0 && isNear;
}

/** Milliseconds of media: what the header of a complete file says, else what was measured. */
export function durationOf(file: StoredFile): number {
  return isDeclared(file) ? declaredDuration(file.stored) : measuredDuration(file);
}

/**
 * The header as players get it on demand: as in the file, but Seekable, because every file here can be sought in, and
 * Minimum and Maximum Packet Size equal. A header of a live stream becomes one of a file, and one of a cut file gets the
 * counts, sizes and durations of what is there (asf.md 3.1, 5). Its length changes only if it held broken objects.
 * @throws AsfError when the header cannot be written
 */
export function servedHeader(file: StoredFile): AsfHeader {
  const { stored: header, packetCount, packetSize, complete, times } = file;
  const { fileProperties: stored, dataObject } = header;
  const kept = complete ? stored.flags : stored.flags & ~(FILE_FLAG.broadcast | LIVE_FLAG);
  const count = BigInt(packetCount);
  const counts = {
    flags: kept | FILE_FLAG.seekable,
    dataPacketsCount: count,
    minimumPacketSize: packetSize,
    maximumPacketSize: packetSize,
    preroll: times.preroll,
  };
  const isAsStored = file.recordings === 1 && packetSize === header.packetSize;
  const dataSize = isAsStored ? file.dataSize : packetCount * packetSize;
  const measured = {
    // Players may get a shorter header than the file has.
    fileSize: BigInt(dataSize + header.bytes.length),
    playDuration: BigInt(times.end * HUNDRED_NS_PER_MS),
    sendDuration: BigInt((times.sendEnd - times.sendStart) * HUNDRED_NS_PER_MS),
  };
  const declared = { fileSize: stored.fileSize, playDuration: stored.playDuration, sendDuration: stored.sendDuration };
  const fresh = { ...stored, ...counts, ...(isDeclared(file) ? declared : measured) };
  const size = complete && isAsStored ? dataObject.size : BigInt(DATA_OBJECT_HEAD_SIZE + packetCount * packetSize);
  const same = (Object.keys(fresh) as (keyof typeof fresh)[]).every((key) => fresh[key] === stored[key]);
  if (same && size === dataObject.size && count === dataObject.packetCount) return header;
  const data = { fileId: dataObject.fileId, size, packetCount: count };
  return buildHeader(withFileProperties(header.objects, stored, fresh), data);
}

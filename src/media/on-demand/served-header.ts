import { withFileProperties } from '../../asf/edit.js';
import { type AsfHeader, buildHeader, DATA_OBJECT_HEAD_SIZE, FILE_FLAG } from '../../asf/header.js';
import type { MediaTimes } from './measure.js';

/** The facts about a file that its header is made from. */
export interface StoredFile {
  /** The header in the file. */
  readonly stored: AsfHeader;
  readonly packetSize: number;
  readonly packetCount: number;
  readonly complete: boolean;
  readonly recordings: number;
  /** Bytes of everything except the header. */
  readonly dataSize: number;
  /** True if the packets are exactly those in the file, unchanged. */
  readonly untouched: boolean;
  readonly times: MediaTimes;
}

const HUNDRED_NS_PER_MS = 10_000;
/** The header's duration is accepted if it is wrong by no more than this, or a tenth. In ms. */
const LARGEST_ERROR = 10_000;
/** Live headers of Microsoft's encoder set it together with Broadcast (asf.md 3.1). */
const LIVE_FLAG = 8;

/** Returns the header's Play Duration without the preroll, in ms; 0 if it has none. */
function declaredDuration({ fileProperties: { playDuration }, preroll }: AsfHeader): number {
  return Math.max(Math.floor(Number(playDuration) / HUNDRED_NS_PER_MS) - preroll, 0);
}

const measuredDuration = ({ times }: StoredFile): number => Math.max(times.end - times.preroll, 0);

/** True if the header's duration fits the packets that players get. */
function isDeclared(file: StoredFile): boolean {
  const declared = declaredDuration(file.stored);
  const measured = measuredDuration(file);
  const isNear = Math.abs(declared - measured) <= Math.max(LARGEST_ERROR, measured / 10);
  return file.untouched && file.complete && declared > 0 && isNear;
}

/** Returns ms of media: for a complete file from its header, else as measured. */
export function durationOf(file: StoredFile): number {
  return isDeclared(file) ? declaredDuration(file.stored) : measuredDuration(file);
}

/**
 * Returns the header for players on demand: as in the file, but Seekable, because every file here is, and with equal
 * Minimum and Maximum Packet Size. The header of a live stream becomes that of a file; a truncated file gets the
 * counts, sizes and durations of what is there (asf.md 3.1, 5). Its length changes only if it held broken objects.
 *
 * @throws AsfError if the header cannot be written
 */
export function servedHeader(file: StoredFile): AsfHeader {
  const { stored: header, packetCount, packetSize, complete, times } = file;
  const { fileProperties: stored, dataObject } = header;
  const kept = complete ? stored.flags : stored.flags & ~(FILE_FLAG.broadcast | LIVE_FLAG);
  const count = BigInt(packetCount);
  const counts = {
    flags: (kept | FILE_FLAG.seekable) >>> 0,
    dataPacketsCount: count,
    minimumPacketSize: packetSize,
    maximumPacketSize: packetSize,
    preroll: times.preroll,
  };
  const isAsStored = file.recordings === 1 && packetSize === header.packetSize;
  const dataSize = isAsStored ? file.dataSize : packetCount * packetSize;
  const measured = {
    // Players may get a shorter header than the one in the file.
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

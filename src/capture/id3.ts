/** ID3v2 frames that say what plays (id3.org, ID3v2.4 4.2.1 and 4.2.2). */
const TITLE = 'TIT2';
const PERFORMER = 'TPE1';

/** The most that is kept of one tag, in bytes: pictures come in tags, too. */
const LARGEST_TAG = 256 * 1024;
const TS_PACKET = 188;
const TS_SYNC = 0x47;
/** Times of MPEG-TS are in units of 1/90000 s, modulo 2^33. */
const TICKS = 90;

/** A title, and when it begins. */
export interface TimedTitle {
  /** Milliseconds from the start of the stream. */
  readonly time: number;
  readonly title: string;
}

/** Joins a performer and a title, as radio stations write them. */
export function withPerformer(performer: string | undefined, title: string): string {
  return performer === undefined || performer === '' ? title : `${performer} - ${title}`;
}

/**
 * Reads the titles in a stream of timed ID3 tags that ffmpeg writes as MPEG-TS: one stream, a tag in each PES packet.
 * Packets for tables and anything damaged are skipped.
 */
export class TimedId3Reader {
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #size = 0;

  /** Takes bytes of the stream; returns the titles whose packets are complete. */
  push(chunk: Buffer): TimedTitle[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const titles: TimedTitle[] = [];
    let at = 0;
    while (at + TS_PACKET <= bytes.length) {
      if (bytes[at] !== TS_SYNC) {
        at++;
        continue;
      }
      const title = this.#packet(bytes.subarray(at, at + TS_PACKET));
      if (title) titles.push(title);
      at += TS_PACKET;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
    return titles;
  }

  /** Takes one packet of MPEG-TS (ISO 13818-1 2.4.3.2). */
  #packet(packet: Buffer): TimedTitle | undefined {
    const hasPayload = (packet[3]! & 0x10) !== 0;
    const start = 4 + ((packet[3]! & 0x20) === 0 ? 0 : 1 + packet[4]!);
    if (!hasPayload || start >= TS_PACKET) return undefined;
    const payload = Buffer.from(packet.subarray(start));
    if ((packet[1]! & 0x40) !== 0) {
      // Tables begin with a pointer and an id; a PES packet with its start code (2.4.3.6).
      const isPes = payload.length > 8 && payload.readUIntBE(0, 3) === 1;
      this.#parts = isPes ? [payload] : [];
      this.#size = isPes ? payload.length : 0;
    } else if (this.#parts.length > 0 && this.#size < LARGEST_TAG) {
      this.#parts.push(payload);
      this.#size += payload.length;
    }
    const length = this.#parts[0]?.readUInt16BE(4);
    if (length === undefined || this.#size < 6 + length) return undefined;
    const pes = Buffer.concat(this.#parts).subarray(0, 6 + length);
    this.#parts = [];
    return titleOfPes(pes);
  }
}

/** The start of a tag, up to its flags. */
const LOST_START = Buffer.from('ID3\u0004\0', 'latin1');

function isTag(data: Buffer): boolean {
  return data.toString('latin1', 0, 3) === 'ID3';
}

function titleOfPes(pes: Buffer): TimedTitle | undefined {
  if (pes.length < 14 || (pes[7]! & 0x80) === 0) return undefined;
  const high = (pes[9]! >> 1) & 7;
  const pts = high * 2 ** 30 + (pes.readUInt16BE(10) >> 1) * 2 ** 15 + (pes.readUInt16BE(12) >> 1);
  const data = pes.subarray(9 + pes[8]!);
  // ffmpeg takes the first five bytes of a tag for the header of a metadata access unit, which Apple's tags lack.
  const title = titleOfId3(isTag(data) ? data : Buffer.concat([LOST_START, data]));
  return title === undefined ? undefined : { time: Math.round(pts / TICKS), title };
}

/** Returns the title in an ID3v2.3 or ID3v2.4 tag, with the performer if it names one; undefined without a title. */
export function titleOfId3(tag: Buffer): string | undefined {
  const version = tag[3];
  if (tag.length < 10 || !isTag(tag) || (version !== 3 && version !== 4)) return undefined;
  const flags = tag[5]!;
  const end = Math.min(tag.length, 10 + syncSafe(tag, 6));
  let body = tag.subarray(10, end);
  // Unsynchronisation of the whole tag (ID3v2.3 5): a zero byte after each 0xff.
  if (version === 3 && (flags & 0x80) !== 0)
    body = Buffer.from(body.toString('latin1').replace(/\xff\0/g, '\xff'), 'latin1');
  let at = 0;
  if ((flags & 0x40) !== 0 && body.length >= 4) at = version === 4 ? syncSafe(body, 0) : 4 + body.readUInt32BE(0);
  const texts = new Map<string, string>();
  while (at + 10 <= body.length) {
    const id = body.toString('latin1', at, at + 4);
    const size = version === 4 ? syncSafe(body, at + 4) : body.readUInt32BE(at + 4);
    if (id === '\0\0\0\0' || size > body.length - at - 10) break;
    if (id === TITLE || id === PERFORMER) texts.set(id, textOf(body.subarray(at + 10, at + 10 + size)));
    at += 10 + size;
  }
  const title = texts.get(TITLE);
  return title === undefined || title === '' ? undefined : withPerformer(texts.get(PERFORMER), title);
}

/** Reads 28 bits, of which each byte has seven. */
function syncSafe(bytes: Buffer, at: number): number {
  return [0, 1, 2, 3].reduce((value, index) => value * 128 + (bytes[at + index]! & 0x7f), 0);
}

/** Reads a text frame: a byte for the encoding, and several values with NULs between them, of which the first counts. */
function textOf(frame: Buffer): string {
  const bytes = frame.subarray(1);
  const labels = ['latin1', 'utf-16', 'utf-16be', 'utf-8'];
  const text = new TextDecoder(labels[frame[0] ?? 3] ?? 'latin1').decode(bytes);
  return text.split('\0', 1)[0]!.trim();
}

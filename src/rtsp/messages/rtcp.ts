/*
 * The RTCP that a client of a retransmission stream sends (MS-RTSP 2.2.4, RFC 4585 6.2.1, RFC 3550 6.5);
 * integers are big-endian.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---+-+-+-------+---------------+-------------------------------+
 *  |V=2|P|E| FMT=1 |    PT=205     |   length in words, less one   |
 *  +---+-+-+-------+---------------+-------------------------------+
 *  |                      SSRC of the sender                       |
 *  +---------------------------------------------------------------+
 *  |                      SSRC of the media                        |
 *  +-------------------------------+-------------------------------+
 *  |              PID              |              BLP              |  again and again
 *  +-------------------------------+-------------------------------+
 *
 * and an SDES whose CNAME names the retransmission stream.
 */

const VERSION = 0x80;
const PT = { sdes: 202, feedback: 205 } as const;
const NACK = 1;
/** E, set by clients and ignored by servers (2.2.4). */
const E = 0x10;
const CNAME = 1;
const CNAME_SUFFIX = '@WMS:7ff42e07-3c7c-4eb5-9c17-6bdd11ad90de';

/** The most NACK messages that a client puts in one packet (3.1.4.6). */
export const MAX_NACKS = 32;
/** The most sequence numbers of one packet that a server looks up (3.2.5.10). */
export const MAX_NACKED = 128;

/** A client's request to send packets again. */
export interface NackRequest {
  /** SSRC of the stream that the packets were lost from. */
  readonly mediaSsrc: number;
  /** The SSRC from the response to the SETUP of the retransmission stream. */
  readonly rtxSsrc: number;
  /** 16-bit sequence numbers. */
  readonly sequences: readonly number[];
}

/**
 * Builds the RTCP packets that ask for lost RTP packets, with at most {@link MAX_NACKS} messages each.
 *
 * @param sequences lost numbers in order, modulo 65536
 */
export function buildNacks({ mediaSsrc, rtxSsrc, sequences }: NackRequest): Buffer[] {
  const pairs = nackPairs(sequences);
  const packets: Buffer[] = [];
  for (let from = 0; from < pairs.length; from += MAX_NACKS) {
    const some = pairs.slice(from, from + MAX_NACKS);
    const nack = Buffer.alloc(12 + some.length * 4);
    nack.writeUInt8(VERSION | E | NACK, 0);
    nack.writeUInt8(PT.feedback, 1);
    nack.writeUInt16BE(nack.length / 4 - 1, 2);
    nack.writeUInt32BE(rtxSsrc >>> 0, 4);
    nack.writeUInt32BE(mediaSsrc >>> 0, 8);
    for (const [index, { pid, blp }] of some.entries()) {
      nack.writeUInt16BE(pid, 12 + index * 4);
      nack.writeUInt16BE(blp, 14 + index * 4);
    }
    packets.push(Buffer.concat([nack, sdes(rtxSsrc)]));
  }
  return packets;
}

/** Groups numbers into pairs of PID and BLP: a number, and which of the next 16 are lost too. */
function nackPairs(sequences: readonly number[]): Array<{ pid: number; blp: number }> {
  const pairs: Array<{ pid: number; blp: number }> = [];
  for (const sequence of sequences) {
    const last = pairs.at(-1);
    const after = last ? (sequence - last.pid - 1) & 0xffff : 0xffff;
    if (last && after < 16) last.blp |= 1 << after;
    else pairs.push({ pid: sequence & 0xffff, blp: 0 });
  }
  return pairs;
}

function sdes(rtxSsrc: number): Buffer {
  const name = `${rtxSsrc >>> 0}${CNAME_SUFFIX}`;
  // The items end with at least one null byte, on a multiple of 4.
  const bytes = Buffer.alloc(Math.ceil((8 + 2 + name.length + 1) / 4) * 4);
  bytes.writeUInt8(VERSION | 1, 0);
  bytes.writeUInt8(PT.sdes, 1);
  bytes.writeUInt16BE(bytes.length / 4 - 1, 2);
  bytes.writeUInt32BE(rtxSsrc >>> 0, 4);
  bytes.writeUInt8(CNAME, 8);
  bytes.writeUInt8(name.length, 9);
  bytes.write(name, 10, 'latin1');
  return bytes;
}

/**
 * Reads a compound RTCP packet.
 *
 * @param bytes a datagram from anybody
 * @returns the request; undefined without a generic NACK, without a CNAME of the form above, or if it is truncated
 *   (3.2.5.10)
 */
export function readNacks(bytes: Buffer): NackRequest | undefined {
  const sequences: number[] = [];
  let mediaSsrc: number | undefined;
  let rtxSsrc: number | undefined;
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 4 || bytes[at]! >> 6 !== 2) return undefined;
    const end = at + (bytes.readUInt16BE(at + 2) + 1) * 4;
    if (end > bytes.length) return undefined;
    const part = bytes.subarray(at, end);
    if (part[1] === PT.feedback && (part[0]! & 0x0f) === NACK && part.length >= 16) {
      mediaSsrc ??= part.readUInt32BE(8);
      readPairs(part, sequences);
    } else if (part[1] === PT.sdes) rtxSsrc ??= readCname(part);
    at = end;
  }
  if (mediaSsrc === undefined || rtxSsrc === undefined || sequences.length === 0) return undefined;
  return { mediaSsrc, rtxSsrc, sequences };
}

function readPairs(part: Buffer, sequences: number[]): void {
  for (let at = 12; at + 4 <= part.length && sequences.length < MAX_NACKED; at += 4) {
    const pid = part.readUInt16BE(at);
    const blp = part.readUInt16BE(at + 2);
    sequences.push(pid);
    for (let bit = 0; bit < 16 && sequences.length < MAX_NACKED; bit++) {
      if (blp & (1 << bit)) sequences.push((pid + 1 + bit) & 0xffff);
    }
  }
}

function readCname(part: Buffer): number | undefined {
  for (let at = 8; at + 2 <= part.length && part[at] !== 0; at += 2 + part[at + 1]!) {
    const text = part.toString('latin1', at + 2, at + 2 + part[at + 1]!);
    const ssrc = /^(\d{1,10})@WMS:([0-9a-f-]{36})$/i.exec(text);
    const isOurs = ssrc !== null && `@WMS:${ssrc[2]!.toLowerCase()}` === CNAME_SUFFIX;
    if (part[at] === CNAME && isOurs && Number(ssrc[1]) <= 0xffffffff) return Number(ssrc[1]);
  }
  return undefined;
}

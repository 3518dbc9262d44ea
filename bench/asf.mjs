/*
 * How fast a stream is read: AsfReader with parsePacket over chunks of 64 KiB, for packets of 1.4, 3.2 and 8 KB with
 * several payloads each, as ffmpeg makes them; and how fast all packets are rewritten with other times, as for a timeline that
 * goes on. Beside it, in the same run, what copying the same bytes costs: the ceiling of anything that touches every byte once.
 *
 *   npm run build && node bench/asf.mjs [seconds for each figure]
 */
import { AsfReader, buildHeader, buildPacket, GUID } from '../dist/asf/index.js';
import { rebasePacket } from '../dist/asf/rebase.js';

const seconds = Number(process.argv[2] ?? 1);
const CHUNK = 64 * 1024;
/** Little of it where only seconds too short for figures are asked for. */
const STREAM_BYTES = (seconds < 0.1 ? 1 : 32) * 1024 * 1024;

function makeHeader(packetSize) {
  const fileId = '0'.repeat(32);
  const fileProperties = {
    type: 'fileProperties',
    fileId,
    fileSize: 0n,
    creationDate: 0n,
    dataPacketsCount: 0n,
    playDuration: 0n,
    sendDuration: 0n,
    preroll: 3100,
    flags: 1,
    minimumPacketSize: packetSize,
    maximumPacketSize: packetSize,
    maximumBitrate: 464000,
  };
  const stream = (streamType, flags) => ({
    type: 'streamProperties',
    streamType,
    errorCorrectionType: GUID.noErrorCorrection,
    timeOffset: 0n,
    flags,
    reserved: 0,
    typeSpecificData: Buffer.alloc(0),
    errorCorrectionData: Buffer.alloc(0),
  });
  const objects = [fileProperties, stream(GUID.audioMedia, 1), stream(GUID.videoMedia, 2)];
  return buildHeader(objects, { fileId, size: 50n, packetCount: 0n }).bytes;
}

/** Audio blocks of 372 bytes between video fragments, two of each in 3.2 KB: the mix of a 400 + 64 kb/s stream. */
function makePacket(packetSize, number) {
  const payloads = [];
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(4000, 0);
  replicated.writeUInt32LE(number * 40 + 3100, 4);
  let room = packetSize - 14;
  for (let i = 0; room > 60; i++) {
    const length = Math.min(i % 2 === 0 ? 372 : 900, room - 17);
    payloads.push({
      stream: 1 + (i % 2),
      key: i % 2 === 1,
      mediaObjectNumber: (number + i) & 0xff,
      offset: 0,
      replicated,
      data: Buffer.alloc(length, i),
    });
    room -= 17 + length;
  }
  return buildPacket({ packetSize, sendTime: number * 40, duration: 40, payloads });
}

function chunksOf(packetSize) {
  const parts = [makeHeader(packetSize)];
  for (let i = 0; i < STREAM_BYTES / packetSize; i++) parts.push(makePacket(packetSize, i));
  const stream = Buffer.concat(parts);
  const chunks = [];
  for (let at = 0; at < stream.length; at += CHUNK) chunks.push(stream.subarray(at, at + CHUNK));
  return chunks;
}

function rate(bytes, work) {
  work();
  const start = process.hrtime.bigint();
  let runs = 0;
  let elapsed = 0;
  while (elapsed < seconds) {
    work();
    runs++;
    elapsed = Number(process.hrtime.bigint() - start) / 1e9;
  }
  return (runs * bytes) / elapsed / 1e6;
}

const target = Buffer.alloc(CHUNK);
for (const packetSize of [1400, 3200, 8000]) {
  const chunks = chunksOf(packetSize);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  let packets = 0;
  let payloads = 0;
  const reading = rate(bytes, () => {
    const reader = new AsfReader();
    packets = 0;
    payloads = 0;
    for (const chunk of chunks) {
      for (const item of reader.push(chunk)) {
        if (item.type !== 'packet') continue;
        packets++;
        payloads += item.packet.payloads.length;
      }
    }
    if (reader.damagedPackets > 0) throw new Error('The benchmark made damaged packets.');
  });
  const reader = new AsfReader();
  const items = chunks.flatMap((chunk) => [...reader.push(chunk)]);
  const parsed = items.filter(({ type }) => type === 'packet').map(({ packet }) => packet);
  const rewriting = rate(bytes, () => {
    for (const packet of parsed) rebasePacket(packet, 1_000);
  });
  const copying = rate(bytes, () => {
    for (const chunk of chunks) chunk.copy(target);
  });
  console.log(
    `${packetSize} bytes, ${(payloads / packets).toFixed(1)} payloads a packet: ` +
      `read ${reading.toFixed(0)} MB/s (${(reading / packetSize).toFixed(2)} million packets/s), rewrite ${rewriting.toFixed(0)} MB/s, copy ${copying.toFixed(0)} MB/s`,
  );
}

// What sending to multicast groups costs: a point of the server that is multicast, for each packet with its padding cut and a parity
// packet for every ten; beside it the same points without a multicast, and bare sockets that send datagrams of the same sizes at the same times.
//   npm run build && node bench/multicast.mjs [SECONDS]
// Receivers are on this host, where the kernel hands each of them its copy within the call that sends; over a network it is the
// switches that copy. Loopback only.
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const BITRATE = 2_000_000;
const PACKET_SIZE = 1400;
const SPAN = 10;
const TICK = 20;
const OWN = '127.0.0.1';
const seconds = Number(process.argv[2] ?? 8);
const groupOf = (index) => ({ address: `239.255.40.${index + 1}`, port: 45_000 });

async function bareSender(index) {
  const socket = createSocket('udp4');
  const { address, port } = groupOf(index);
  await new Promise((resolve) => socket.bind(0, OWN, resolve));
  socket.setMulticastInterface(OWN);
  await new Promise((resolve) => socket.connect(port, address, resolve));
  const datagram = Buffer.alloc(PACKET_SIZE + 8);
  let count = 0;
  return () => {
    socket.send(datagram);
    if (++count % SPAN === 0) socket.send(datagram);
  };
}

async function pointSender(index, multicast = true) {
  const { Broadcast, buildPacket, parsePacket } = await import('../dist/index.js');
  const { PointMulticast } = await import('../dist/server/listeners/multicast.js');
  const { testHeader } = await header();
  const broadcast = new Broadcast();
  const { address: group, port } = groupOf(index);
  const config = { group, port, ttl: 0, interface: OWN, fec: SPAN };
  if (multicast) await PointMulticast.start({ path: '/live', broadcast }, config, console.error);
  broadcast.write({ type: 'header', header: testHeader });
  const packets = samples(buildPacket);
  let sent = 0;
  return () => {
    // What the source costs is not what is measured: its packets are made before, and only their times are not.
    const bytes = Buffer.from(packets[sent % packets.length]);
    bytes.writeUInt32LE(Math.floor((sent++ * PACKET_SIZE * 8000) / BITRATE), parsePacket(bytes).sendTimeStart);
    broadcast.write({ type: 'packet', packet: parsePacket(bytes) });
  };
}

function samples(buildPacket) {
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(1300, 0);
  return Array.from({ length: 16 }, (_, index) => {
    const payload = {
      stream: 1,
      key: true,
      mediaObjectNumber: index,
      offset: 0,
      replicated,
      data: Buffer.alloc(1300, index),
    };
    return buildPacket({ sendTime: 0, duration: 0, packetSize: PACKET_SIZE, multiple: true, payloads: [payload] });
  });
}

/** A live header with one audio stream. */
async function header() {
  const { buildHeader, GUID, liveHeader } = await import('../dist/index.js');
  const wave = Buffer.from('6101020044ac0000411f00009d0b10000a00008800000f0075170000', 'hex');
  const file = {
    ...{
      type: 'fileProperties',
      fileId: '00112233445566778899aabbccddeeff',
      fileSize: 0n,
      creationDate: 1n,
      dataPacketsCount: 0n,
    },
    ...{ playDuration: 0n, sendDuration: 0n, preroll: 3000, flags: 1, maximumBitrate: BITRATE },
    ...{ minimumPacketSize: PACKET_SIZE, maximumPacketSize: PACKET_SIZE },
  };
  const audio = {
    ...{ type: 'streamProperties', streamType: GUID.audioMedia, errorCorrectionType: GUID.noErrorCorrection },
    ...{ timeOffset: 0n, flags: 1, reserved: 0, typeSpecificData: wave, errorCorrectionData: Buffer.alloc(0) },
  };
  return { testHeader: liveHeader(buildHeader([file, audio], { fileId: file.fileId, size: 50n, packetCount: 0n })) };
}

async function child(mode, groups) {
  const open = mode === 'bare' ? bareSender : (index) => pointSender(index, mode === 'point');
  const senders = await Promise.all(Array.from({ length: groups }, (_, index) => open(index)));
  // As a server that has been running for a while: what it does is compiled.
  const warm = await open(200);
  for (let round = 0; round < 300; round++) {
    for (let packet = 0; packet < 50; packet++) warm();
    await delay(1);
  }
  const perMs = BITRATE / 8 / PACKET_SIZE / 1000;
  let [start, sent, cpu] = [performance.now(), 0, process.cpuUsage()];
  const tick = () => {
    const due = Math.floor((performance.now() - start) * perMs);
    for (; sent < due; sent++) for (const send of senders) send();
  };
  const timer = setInterval(tick, TICK);
  await delay(1_500);
  [start, sent, cpu] = [performance.now(), 0, process.cpuUsage()];
  await delay(seconds * 1000);
  clearInterval(timer);
  const { user, system } = process.cpuUsage(cpu);
  process.send({ share: (user + system) / 1000 / (performance.now() - start), packets: sent });
  process.exit(0);
}

async function measure(mode, groups, receivers) {
  let received = 0;
  const sockets = await Promise.all(
    Array.from({ length: groups * receivers }, async (_, index) => {
      const { address, port } = groupOf(index % groups);
      const socket = createSocket({ type: 'udp4', reuseAddr: true });
      socket.on('message', () => received++);
      await new Promise((resolve) => socket.bind(port, address, resolve));
      socket.addMembership(address, OWN);
      return socket;
    }),
  );
  const sender = fork(fileURLToPath(import.meta.url), [String(seconds), mode, String(groups)]);
  const result = await new Promise((resolve) => sender.once('message', resolve));
  await new Promise((resolve) => sender.once('exit', resolve));
  for (const socket of sockets) socket.close();
  return { ...result, received };
}

if (process.argv[3]) {
  await child(process.argv[3], Number(process.argv[4]));
} else {
  console.log(
    `${BITRATE / 1e6} Mbit/s a group, packets of ${PACKET_SIZE} bytes, a parity packet for every ${SPAN}; ${cpus()[0].model}`,
  );
  console.log('groups  receivers of each  of one core: wmcast  not multicast  bare sockets  a group');
  for (const [groups, receivers] of [
    [1, 0],
    [1, 1],
    [1, 20],
    [50, 0],
    [50, 1],
  ]) {
    const ours = await measure('point', groups, receivers);
    const quiet = await measure('quiet', groups, receivers);
    const bare = await measure('bare', groups, receivers);
    const percent = (share) => `${(share * 100).toFixed(2)} %`;
    console.log(
      `${String(groups).padStart(6)}  ${String(receivers).padStart(17)}  ${percent(ours.share).padStart(20)}  ` +
        `${percent(quiet.share).padStart(13)}  ${percent(bare.share).padStart(12)}  ${percent(ours.share / groups).padStart(7)}`,
    );
  }
}

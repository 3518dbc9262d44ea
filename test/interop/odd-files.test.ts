import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { liveHeader } from '../../src/asf/edit.js';
import type { AsfHeader } from '../../src/asf/header.js';
import { frameObject } from '../../src/asf/object-tree.js';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { buildPacket, packetFields } from '../../src/asf/packet-build.js';
import { restorePadding } from '../../src/asf/padding.js';
import { AsfReader } from '../../src/asf/reader.js';
import { rebasePacket } from '../../src/asf/rebase.js';
import { withPacketSize } from '../../src/asf/split.js';
import { stopAll } from './support/child.js';
import { Command, newPoint, Server } from './support/commands.js';
import { decodeFile, makeAsf, newContentFolder, newFolder, removeFolders } from './support/content.js';
import type { FrameCrc } from './support/frame-crc.js';
import { FfmpegPlayer } from './support/players.js';
import { Together } from './support/together.js';

const SECONDS = 5;
const FPS = 25;
const SIZE = 1400;
const TEN_HOURS = 36_000_000;

/** An unusual file, made of the header and packets of another one. */
interface Oddity {
  readonly title: string;
  make(header: AsfHeader, packets: readonly DataPacket[]): Buffer;
  /** How often its pictures repeat; default: once. */
  readonly times?: number;
  /** The number of pictures that may be missing; default: none. */
  readonly lost?: number;
}

const bytesOf = (packets: readonly DataPacket[]): Buffer[] => packets.map(({ bytes }) => bytes);

/** Returns the packet with more room, and a payload without data before its others. */
function withEmptyPayload(packet: DataPacket, packetSize: number): Buffer {
  const { errorCorrection, sendTime, duration, payloads } = packetFields(packet);
  const bytes = buildPacket({ errorCorrection: errorCorrection!, sendTime, duration, payloads, multiple: true });
  const at = parsePacket(bytes).payloadsStart;
  const empty = Buffer.alloc(17);
  empty[0] = packet.payloads[0]!.stream;
  empty[6] = 8;
  bytes[at] = bytes[at]! + 1;
  const longer = Buffer.concat([bytes.subarray(0, at + 1), empty, bytes.subarray(at + 1)]);
  return restorePadding(parsePacket(longer), packetSize);
}

/** Joins several packets into one. */
function merged(packets: readonly DataPacket[], packetSize: number): Buffer {
  const [first] = packets;
  const payloads = packets.flatMap((packet) => packetFields(packet).payloads);
  return buildPacket({ sendTime: first!.sendTime, duration: 0, payloads, packetSize, multiple: true });
}

const ODDITIES: Readonly<Record<string, Oddity>> = {
  lost: {
    title: 'lost bytes and added bytes',
    lost: 4,
    make: ({ bytes }, packets) => {
      const pieces = bytesOf(packets);
      pieces[60] = pieces[60]!.subarray(0, 900);
      pieces[90] = Buffer.concat([pieces[90]!, Buffer.alloc(500, 0x55)]);
      return Buffer.concat([bytes, ...pieces]);
    },
  },
  noise: {
    title: 'noise, some of which can be read as packets',
    lost: 6,
    make: ({ bytes }, packets) => {
      const pieces = bytesOf(packets);
      const foreign = Buffer.from(pieces[40]!);
      for (const { headerStart } of packets[40]!.payloads) foreign[headerStart] = 99;
      pieces[40] = foreign;
      pieces[70] = Buffer.alloc(SIZE, 0x82);
      pieces[71] = rebasePacket(packets[71]!, 2_000_000_000);
      return Buffer.concat([bytes, ...pieces]);
    },
  },
  joined: {
    title: 'two joined recordings',
    times: 2,
    make: (header, packets) => {
      const recording = Buffer.concat([liveHeader(header).bytes, ...bytesOf(packets)]);
      return Buffer.concat([recording, recording]);
    },
  },
  empty: {
    title: 'payloads without data before others',
    make: (header, packets) => {
      const size = SIZE + 40;
      const pieces = packets.map((packet, at) =>
        at % 3 === 1 ? withEmptyPayload(packet, size) : restorePadding(packet, size),
      );
      return Buffer.concat([liveHeader(withPacketSize(header, size)).bytes, ...pieces]);
    },
  },
  small: {
    title: 'a header that is larger than it claims',
    make: ({ bytes }, packets) => {
      const data = bytes.length - 50;
      const between = frameObject('ab'.repeat(16), Buffer.from('what a tagger added'));
      return Buffer.concat([bytes.subarray(0, data), between, bytes.subarray(data), ...bytesOf(packets)]);
    },
  },
  late: {
    title: 'times that begin ten hours in',
    make: ({ bytes }, packets) => Buffer.concat([bytes, ...packets.map((packet) => rebasePacket(packet, TEN_HOURS))]),
  },
  large: {
    title: 'packets of 100 kB',
    make: (header, packets) => {
      const size = 100_000;
      const groups = Array.from({ length: Math.ceil(packets.length / 15) }, (_, at) =>
        packets.slice(15 * at, 15 * at + 15),
      );
      return Buffer.concat([
        liveHeader(withPacketSize(header, size)).bytes,
        ...groups.map((group) => merged(group, size)),
      ]);
    },
  },
};

describe('files that are a little wrong', () => {
  const folder = newContentFolder();
  const together = new Together();
  let server: Server;
  let whole: FrameCrc;

  /** Expects the correct output of a file: all pictures in order, except for some that may be missing. */
  function expectPictures({ pictures, times }: FrameCrc, { times: rounds = 1, lost = 0 }: Oddity): void {
    const expected = Array.from({ length: rounds }, () => whole.pictures).flat();
    if (lost === 0) {
      expect(pictures).toEqual(expected);
    } else {
      expect(pictures.length).toBeGreaterThanOrEqual(expected.length - lost);
      expect(pictures.length).toBeLessThanOrEqual(expected.length);
      // Pictures from a fault up to the next key frame decode differently.
      const known = new Set(expected);
      expect(pictures.filter((picture) => known.has(picture)).length).toBeGreaterThan(expected.length - lost * FPS);
    }
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.at(-1)! - times[0]!).toBeLessThan(rounds * SECONDS + 0.5);
  }

  beforeAll(async () => {
    const base = await makeAsf('base.wmv', { duration: SECONDS, packetSize: SIZE });
    const items = new AsfReader().push(await readFile(base));
    const packets = items.flatMap((item) => (item.type === 'packet' ? [item.packet] : []));
    const [header] = items.flatMap((item) => (item.type === 'header' ? [item.header] : []));
    whole = await decodeFile(base);
    for (const [name, { make }] of Object.entries(ODDITIES)) {
      await writeFile(join(folder, `${name}.wmv`), make(header!, packets));
    }
    const larger = packets.map((packet) => restorePadding(packet, 2 * SIZE));
    const parts = [liveHeader(header!).bytes, ...bytesOf(packets)];
    const others = [liveHeader(withPacketSize(header!, 2 * SIZE)).bytes, ...larger];
    await writeFile(join(folder, 'both.wmv'), Buffer.concat([...parts, ...others]));
    server = await Server.start('--content', folder);
    together.start();
  });

  afterAll(async () => {
    await stopAll();
    removeFolders();
  });

  const BOTH = 'joined recordings with other packet sizes';

  /** Expects a recording in two files, each with all pictures. */
  async function expectBoth(path: string): Promise<void> {
    for (const each of [path, path.replace('.asf', '-2.asf')]) {
      expect((await decodeFile(each)).pictures).toEqual(whole.pictures);
    }
  }

  together.it([], `${BOTH}, on demand: wmcast pull`, async () => {
    const recorded = join(newFolder(), 'pulled.asf');
    const pull = new Command('wmcast', ['pull', server.url('/both.wmv', 'mmsh'), '-o', recorded, '--json']);
    expect((await pull.ends()).code).toBe(0);
    await expectBoth(recorded);
  });

  together.it([], `${BOTH}, pushed unchanged and archived`, async () => {
    const archive = join(newFolder(), 'archive.asf');
    const options = ['--input', join(folder, 'both.wmv'), '--copy', '--archive', archive];
    expect((await server.push(newPoint(), ...options).ends()).code).toBe(0);
    await expectBoth(archive);
  });

  together.it([], `${BOTH}: wmcast probe`, async () => {
    const probe = new Command('wmcast', ['probe', join(folder, 'both.wmv')]);
    expect((await probe.ends()).code).toBe(0);
    expect(probe.output.join('\n')).toContain('another recording with other streams or another packet size follows');
  });

  for (const [name, oddity] of Object.entries(ODDITIES)) {
    together.it([], `${oddity.title}, on demand: ffmpeg`, async () => {
      const player = new FfmpegPlayer(server.url(`/${name}.wmv`, 'mmsh'));
      await player.ends();
      expectPictures(player.crc, oddity);
    });

    together.it([], `${oddity.title}, on demand: wmcast pull`, async () => {
      const recorded = join(newFolder(), 'pulled.asf');
      const pull = new Command('wmcast', ['pull', server.url(`/${name}.wmv`, 'mmsh'), '-o', recorded, '--json']);
      expect((await pull.ends()).code).toBe(0);
      expectPictures(await decodeFile(recorded), oddity);
    });

    together.it([], `${oddity.title}, pushed unchanged and archived`, async () => {
      const archive = join(newFolder(), 'archive.asf');
      const options = ['--input', join(folder, `${name}.wmv`), '--copy', '--archive', archive];
      expect((await server.push(newPoint(), ...options).ends()).code).toBe(0);
      expectPictures(await decodeFile(archive), oddity);
    });
  }
});

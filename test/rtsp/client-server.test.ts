import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { restorePadding } from '../../src/asf/padding.js';
import { AsfReader } from '../../src/asf/reader.js';
import { RtspClient } from '../../src/rtsp/client/client.js';
import { until } from '../support/until.js';
import { Content } from '../wmsp/content.js';
import { Playing } from './playing.js';
import { Station } from './station.js';

let station: Station;
let content: Content | undefined;
const open: Playing[] = [];
afterEach(async () => {
  for (const playing of open.splice(0)) await playing.close();
  await station.close();
  await content?.close();
  content = undefined;
  expect(station.errors).toEqual([]);
});

function play(url: string, options: Partial<ConstructorParameters<typeof Playing>[0]> = {}): Playing {
  const [scheme, path] = url.split(':') as [string, string];
  const playing = new Playing({ url: `${scheme}://127.0.0.1:${station.port}${path}`, ...options });
  open.push(playing);
  return playing;
}

/** The packets as a file holds them. */
function whole(packets: readonly DataPacket[], size: number): string[] {
  return packets.map((packet) => createHash('sha1').update(restorePadding(packet, size)).digest('hex'));
}

async function packetsOf(path: string): Promise<DataPacket[]> {
  const items = new AsfReader().push(await readFile(path));
  return items.flatMap((item) => (item.type === 'packet' ? [item.packet] : []));
}

describe.each(['rtsp', 'rtspt'])('a client of RTSP with our server, by %s', (scheme) => {
  describe('live', () => {
    beforeEach(async () => {
      station = await Station.open();
    });

    it('receives what the encoder sends, and its end', async () => {
      const playing = play(`${scheme}:/live`);
      await until('a player', () => station.server.players === 1);
      for (let round = 0; round < 3; round++) station.packets(5);
      await playing.has(15);
      station.end();
      await playing.done;
      expect(playing.error).toBeUndefined();
      expect(playing.order.at(-1)).toBe('end');
      expect(playing.times).toEqual(Array.from({ length: 15 }, (_, index) => index * 100));
      expect(playing.client.stats).toMatchObject({ lostPackets: 0, damagedPackets: 0 });
      await until('no sessions', () => station.server.sessions === 0);
    });

    it('goes on with another entry, chosen in advance or not', async () => {
      for (const prediction of [true, false]) {
        const playing = play(`${scheme}:/live`, { prediction });
        await until('a player', () => station.server.players === 1);
        station.packets(3);
        await playing.has(3);
        station.end(true);
        station.header({ title: prediction ? 'Next' : 'Another' });
        await until('another entry', () => playing.headers.length === 2);
        station.packets(3);
        await playing.has(6);
        expect(playing.order.filter((type) => type !== 'packet')).toEqual(['header', 'end', 'header']);
        await playing.close();
        await until('no sessions', () => station.server.sessions === 0);
      }
    });

    it('chooses streams', async () => {
      const playing = play(`${scheme}:/live`, { streams: [2] });
      await until('a player', () => station.server.players === 1);
      station.packets(2);
      station.sound();
      station.sound();
      await playing.has(2);
      expect(playing.packets.flatMap(({ payloads }) => payloads.map(({ stream }) => stream))).toEqual([2, 2]);
      expect(playing.headers[0]!.streams.map(({ number }) => number)).toEqual([2]);
    });

    it('fails for what is not there', async () => {
      const playing = play(`${scheme}:/nothing`);
      await playing.done;
      expect(playing.error).toMatchObject({ code: 'WM_NO_INPUT' });
    });
  });

  describe('on demand', () => {
    beforeEach(async () => {
      content = await Content.create();
      await content.media('film.wmv', { seconds: 6 });
      station = await Station.open({ content });
    });

    it('receives a file, packet by packet, with their numbers', async () => {
      const playing = play(`${scheme}:/film.wmv`, { speed: 50 });
      await playing.done;
      expect(playing.error).toBeUndefined();
      const file = await packetsOf(join(content!.folder, 'film.wmv'));
      const size = playing.headers[0]!.packetSize;
      expect(whole(playing.packets, size)).toEqual(whole(file, size));
      await until('no sessions', () => station.server.sessions === 0);
    });

    it('starts at a time, and at a packet', async () => {
      const playing = play(`${scheme}:/film.wmv`, { startTime: 2_000 });
      await playing.has(3);
      expect(playing.times[0]).toBe(2_000);
      const other = play(`${scheme}:/film.wmv`, { startPacket: 45 });
      await other.has(3);
      expect(other.times[0]).toBe(3_000);
    });

    it('pauses, seeks and goes on', async () => {
      const playing = play(`${scheme}:/film.wmv`);
      await playing.has(5);
      playing.client.pause();
      await until('no players', () => station.server.players === 0);
      const { length } = playing.packets;
      playing.client.resume();
      await playing.has(length + 3);
      const packets = await packetsOf(join(content!.folder, 'film.wmv'));
      expect(playing.times).toEqual(packets.slice(0, playing.packets.length).map(({ sendTime }) => sendTime));
      playing.client.seek(4_000);
      await until('the other place', () => playing.times.includes(4_000));
      const before = playing.times.slice(0, playing.times.indexOf(4_000));
      expect(Math.max(...before)).toBeLessThan(4_000);
    });

    it('goes through a playlist', async () => {
      await content!.media('1.wmv', { seconds: 1, title: 'One' });
      await content!.media('2.wmv', { seconds: 1, title: 'Two', video: false });
      await content!.media('3.wmv', { seconds: 1, title: 'Three' });
      await content!.playlist('list.wsx', '1.wmv', '2.wmv', '3.wmv');
      for (const prediction of [true, false]) {
        const playing = play(`${scheme}:/list.wsx`, { prediction });
        await playing.done;
        expect(playing.error).toBeUndefined();
        expect(playing.order.filter((type) => type !== 'packet')).toEqual([
          ...['header', 'end', 'header', 'end', 'header', 'end'],
        ]);
        const counts = await Promise.all(
          ['1', '2', '3'].map(async (name) => packetsOf(join(content!.folder, `${name}.wmv`))),
        );
        expect(playing.packets).toHaveLength(counts.flat().length);
      }
    });

    it('describes a file, and leaves nothing on the server', async () => {
      const url = `${scheme}://127.0.0.1:${station.port}/film.wmv`;
      const described = await RtspClient.describe({ url });
      expect(described).toMatchObject({ transport: 'rtsp', live: false, playlistGenId: expect.any(Number) });
      expect(described.server?.text).toMatch(/^WMServer/);
      expect([...described.chosen].sort()).toEqual([1, 2]);
      await until('no connections', () => station.server.connections === 0);
      expect(station.server.sessions).toBe(0);
    });

    it('plays backwards by key frames', async () => {
      const playing = play(`${scheme}:/film.wmv`, { rate: -5, startTime: 5_000 });
      await playing.has(3);
      const [first, second] = playing.times as [number, number];
      expect(second).toBeLessThan(first);
    });
  });
});

describe('the logs of a client of RTSP', () => {
  it('[RTSP-114] begin with a connect-time log, [RTSP-115] and end with what was received', async () => {
    station = await Station.open();
    const playing = play('rtsp:/live');
    await until('a player', () => station.server.players === 1);
    station.packets(4);
    await playing.has(4);
    await playing.close();
    await until('two logs', () => station.logs.length === 2);
    const [connected, played] = station.logs as Array<[string, string, string, string, Buffer]>;
    expect(connected![3]).toBe('application/x-wms-logconnectstats');
    expect(connected![4].toString()).toContain('<transport>UDP</transport>');
    expect(played![3]).toBe('application/x-wms-logplaystats');
    const log = played![4].toString();
    for (const [field, value] of [
      ['protocol', 'rtsp'],
      ['transport', 'UDP'],
      ['c-pkts-received', '4'],
      ['c-pkts-lost-client', '0'],
    ]) {
      expect(log).toContain(`<${field}>${value}</${field}>`);
    }
  });

  it('are not sent if that is not wanted', async () => {
    station = await Station.open();
    const playing = play('rtspt:/live', { log: false });
    await until('a player', () => station.server.players === 1);
    station.packets(1);
    await playing.has(1);
    await playing.close();
    await until('no sessions', () => station.server.sessions === 0);
    expect(station.logs).toEqual([]);
  });
});

describe('a client of RTSP over IPv6', () => {
  it.each(['rtsp', 'rtspt'])('receives a stream by %s', async (scheme) => {
    station = await Station.open({ host: '::1' });
    const playing = new Playing({ url: `${scheme}://[::1]:${station.port}/live` });
    open.push(playing);
    await until('a player', () => station.server.players === 1);
    station.packets(3);
    await playing.has(3);
    expect(parsePacket(playing.packets[0]!.bytes).sendTime).toBe(0);
  });
});

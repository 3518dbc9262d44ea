import type { Broadcast } from '../../src/media/broadcast.js';
import { testHeader, testPacket } from '../support/stream.js';
import type { WirePacket } from '../support/wire.js';
import { Content } from './content.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, OLD, PLAY, playTokens, Station, type Watcher } from './station.js';

let content: Content;
let station: Station;
let live: Broadcast;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  await content.media('a.wmv', { seconds: 4 });
  content.points.configure('/live');
  live = content.points.get('/live')!.broadcast;
  live.write({ type: 'header', header: testHeader() });
  live.write({ type: 'packet', packet: testPacket(0, { key: true }) });
});

afterEach(async () => {
  await station.close();
  await content.close();
});

const play = (...lines: string[]): Promise<Watcher> =>
  station.play('GET /list.wsx HTTP/1.0', OLD, ...(lines.length > 0 ? lines : PLAY), ...BOTH_STREAMS);
const count = (packets: readonly WirePacket[], kind: string) => packets.filter(({ id }) => id === kind).length;

/** Returns the time of the server's clock when something has happened. */
async function timeOf(happened: () => boolean): Promise<number> {
  // The server settles in between, so that the clock does not run ahead of a slow machine.
  for (let steps = 0; !happened(); steps++) {
    if (steps > 400) throw new Error('It did not happen in time.');
    station.tick(100);
    await station.settle();
  }
  return station.now;
}

/** Lets that much of the server's time pass, with everything that it can do meanwhile. */
async function letPass(milliseconds: number): Promise<void> {
  const end = station.now + milliseconds;
  await station.tickUntil(() => station.now >= end);
  await station.settle();
}

describe('dur of a live entry', () => {
  it('limits how long a player gets it, whatever its file says', async () => {
    await content.playlist('list.wsx', '<media src="/live" dur="20s" clipBegin="3s" clipEnd="4s"/>', 'a.wmv');
    const watcher = await play();
    const begun = station.now;
    await letPass(19_000);
    expect(kindsOf(watcher.packets)).toEqual(['H', 'D']);
    const changed = await timeOf(() => count(watcher.packets, 'C') === 1);
    expect(changed - begun).toBeGreaterThanOrEqual(20_000);
    // The server's time continues while the machine is busy with something else.
    expect(changed - begun).toBeLessThan(30_000);
    await station.tickUntil(() => watcher.peer.ended);
    expect(kindsOf(await watcher.all())).toEqual(['H', 'D', 'C0', 'H', 'D', 'E0']);
    expect(live.players).toBe(0);
  });

  it('keeps counting when the source changes its header', async () => {
    await content.playlist('list.wsx', '<media src="/live" dur="20s"/>');
    const watcher = await play();
    const begun = station.now;
    await letPass(15_000);
    live.write({ type: 'header', header: testHeader({ title: 'another' }) });
    live.write({ type: 'packet', packet: testPacket(0, { key: true }) });
    const ended = await timeOf(() => watcher.peer.ended);
    expect(kindsOf(watcher.packets)).toEqual(['H', 'D', 'C0', 'H', 'D', 'E0']);
    expect(ended - begun).toBeLessThan(21_000);
  });

  it.each([
    [10_000, 'before', ['H', 'D', 'C0', 'H', 'D', 'C0', 'H', 'D', 'E0']],
    [15_000, 'after', ['H', 'D', 'C0', 'H', 'D', 'E0']],
  ])(
    'goes on counting while another header waits for a SelectStream, at %i ms, to be %s its end',
    async (at, _, kinds) => {
      await content.playlist('list.wsx', '<media src="/live" dur="20s"/>', 'a.wmv');
      const watcher = await play();
      const begun = station.now;
      await letPass(at);
      const id = `Pragma: client-id=${clientIdOf(watcher.response)}`;
      await station.ask('POST /list.wsx HTTP/1.0', OLD, id, ...BOTH_STREAMS, 'Content-Length: 0');
      live.write({ type: 'header', header: testHeader({ title: 'another' }) });
      live.write({ type: 'packet', packet: testPacket(0, { key: true }) });
      await timeOf(() => count(watcher.packets, 'H') === kinds.filter((kind) => kind === 'H').length);
      // A SelectStream holds the next $C back for 8 s.
      expect(station.now - begun).toBeGreaterThanOrEqual(Math.max(20_000, at + 8_000));
      await station.tickUntil(() => watcher.peer.ended);
      expect(kindsOf(await watcher.all())).toEqual(kinds);
    },
  );

  it('ends earlier with the broadcast', async () => {
    await content.playlist('list.wsx', '<media src="/live" dur="20s"/>', 'a.wmv');
    const watcher = await play();
    live.write({ type: 'end', moreEntries: false, reason: 0 });
    await station.tickUntil(() => watcher.peer.ended);
    await letPass(25_000);
    expect(kindsOf(watcher.packets)).toEqual(['H', 'D', 'C0', 'H', 'D', 'E0']);
  });

  it('leaves nothing open when the player goes away', async () => {
    await content.playlist('list.wsx', '<media src="/live" dur="20s"/>', 'a.wmv');
    const watcher = await play();
    watcher.peer.close();
    await station.tickUntil(() => station.server.players === 0, 0);
    await letPass(25_000);
    expect(content.warnings).toEqual([]);
  });
});

describe('begin of an entry', () => {
  it('counts from the end of the previous entry for the player', async () => {
    await content.playlist('list.wsx', 'a.wmv', '<media src="a.wmv" begin="30s"/>');
    const watcher = await play();
    const begun = station.now;
    // The file is read meanwhile, and its end must not come later than the player is through with it.
    await timeOf(() => station.now - begun >= 6_000);
    await letPass(begun + 33_000 - station.now);
    expect(kindsOf(watcher.packets)).toEqual(['H', 'D']);
    const changed = await timeOf(() => count(watcher.packets, 'C') === 1);
    expect(changed - begun).toBeGreaterThanOrEqual(34_000);
    expect(changed - begun).toBeLessThan(35_000);
    await station.tickUntil(() => watcher.peer.ended);
    expect(kindsOf(await watcher.all())).toEqual(['H', 'D', 'C0', 'H', 'D', 'E0']);
  });

  it('applies to live entries, too, and after them', async () => {
    const entry = '<media src="/live" begin="10s" dur="5s"/>';
    await content.playlist('list.wsx', 'a.wmv', entry, entry);
    const watcher = await play();
    const begun = station.now;
    const first = await timeOf(() => count(watcher.packets, 'C') === 1);
    const second = await timeOf(() => count(watcher.packets, 'C') === 2);
    expect(Math.round((first - begun) / 1000)).toBe(14);
    expect(Math.round((second - first) / 1000)).toBe(15);
  });

  it('of the first entry applies to a player that joins, and not when it seeks', async () => {
    await content.playlist('list.wsx', '<media src="a.wmv" begin="30s"/>');
    const seeker = await play(...playTokens({ time: 2000 }));
    await seeker.packetsWith('D', 1);
    const watcher = await play();
    await letPass(29_000);
    expect(kindsOf(watcher.packets)).toEqual(['H']);
    await station.tickUntil(() => watcher.peer.ended);
    expect(kindsOf(await watcher.all())).toEqual(['H', 'D', 'E0']);
  });

  it('is abandoned if the player goes away meanwhile', async () => {
    await content.playlist('list.wsx', '<media src="a.wmv" begin="30s"/>');
    const watcher = await play();
    watcher.peer.close();
    await station.tickUntil(() => station.server.players === 0 && content.files.size === 0, 0);
    await letPass(35_000);
  });
});

import type { Program } from '../../src/playback/content.js';
import { ALL_STREAMS, NO_STREAMS } from '../../src/playback/selection.js';
import { ResendBudget } from '../../src/playback/sent-ring.js';
import { dataWire } from '../../src/wmsp/messages/packets.js';
import { textWire } from '../support/players.js';
import { PACKETS_A_SECOND } from '../wmsp/content.js';
import { FakePort, Feeder, House } from './support.js';

const START = { position: { kind: 'start' }, selection: ALL_STREAMS } as const;

let house: House;
let port: FakePort;

beforeEach(async () => {
  house = await House.build();
  port = new FakePort();
  await house.media('a', { seconds: 10 });
});

afterEach(() => house.close());

async function opened(...made: Parameters<House['program']>) {
  const session = house.session(port);
  session.open(await house.program(...made), async () => house.program(...made));
  return session;
}

async function playing(...made: Parameters<House['program']>) {
  const session = await opened(...made);
  await session.play(START);
  return session;
}

const logged = (line: string) => () => port.log.includes(line);
const count = (seconds: number) => seconds * PACKETS_A_SECOND;
const everything = (length: number) => Array.from({ length }, (_, index) => index);

describe('a pause', () => {
  it('stops sending, and the player continues with the next packet and the next number', async () => {
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.locations.length > 40);
    session.pause();
    const sent = port.locations.length;
    house.tick(20_000);
    await house.settle();
    expect([session.state, port.locations.length, session.number]).toEqual(['ready', sent, sent]);
    const started = await session.resume();
    expect(started).toMatchObject({ number: sent, location: sent });
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual(everything(count(10)));
    expect(port.packets.map(({ number }) => number)).toEqual(port.packets.map((_, index) => index & 255));
  });

  it('keeps the rate, the speed and the limit', async () => {
    const session = await opened({ file: 'a' });
    await session.play({
      ...START,
      position: { kind: 'time', milliseconds: 1_000 },
      speed: 2,
      limit: { lasting: 4_000 },
    });
    await house.until('some packets', () => port.locations.length > 20);
    session.pause();
    await session.resume();
    expect(port.starts.at(-1)!.pace).toMatchObject({ speed: 2 });
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual(everything(port.locations.length).map((index) => count(1) + index));
    expect(Math.abs(port.locations.length - count(4))).toBeLessThan(4);
  });

  it('of a broadcast continues with the current data', async () => {
    const live = new Feeder(house);
    const session = await playing(live.broadcast);
    live.packet({ key: true });
    await house.until('a packet', () => port.batches.length === 1);
    session.pause();
    for (let packets = 0; packets < 30; packets++) live.packet({ key: packets % 10 === 0 });
    await house.settle();
    expect(port.batches).toHaveLength(1);
    await session.resume();
    await house.until('packets', () => port.batches.length > 1);
    expect(port.packets[1]).toMatchObject({ number: 1 });
    expect(port.packets[1]!.location).toBeGreaterThan(1);
  });

  it('before the place was found prevents any data', async () => {
    const session = await opened({ file: 'a' });
    const started = session.play(START);
    session.pause();
    expect(await started).toBeUndefined();
    house.tick(5_000);
    await house.settle();
    expect([session.state, port.log]).toEqual(['ready', []]);
    await session.resume();
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual(everything(count(10)));
  });
});

describe('a pause between entries', () => {
  it('announces the entry that the player does not know yet, even if its header is the same', async () => {
    await house.media('short', { seconds: 1 });
    port.answer = 'later';
    const session = await playing({ file: 'short' }, { file: 'short' });
    await house.until('the question', () => port.changed.length === 1);
    session.pause();
    port.answer = 'go on';
    await session.resume();
    await house.until('the end', logged('end done'));
    expect(port.log.slice(1)).toEqual([
      'data',
      'end more-follows',
      'next short',
      `start ${count(1)}`,
      'data',
      'end done',
    ]);
    expect(port.changed.at(-1)!.entry.id).toBe(2);
  });

  it('keeps the announced entry, and starts it from its beginning', async () => {
    port.answer = 'wait';
    const session = await playing({ file: 'a' }, { file: 'a', begin: 2_000 });
    await house.until('the next entry', () => port.changed.length === 1);
    session.pause();
    expect(await session.resume()).toMatchObject({ location: count(2), position: 2_000 });
    expect(port.changed).toHaveLength(1);
  });

  it('lets a player skip, and start there', async () => {
    const session = await playing({ file: 'a' }, { file: 'a' });
    session.pause();
    await session.next(1);
    expect([session.state, port.changed.at(-1)!.entry.id, port.log.includes('end more-follows')]).toEqual([
      'playing',
      2,
      false,
    ]);
  });
});

describe('a seek', () => {
  it('continues elsewhere at once, and says so before the first byte', async () => {
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.locations.length > 20);
    const sent = port.locations.length;
    const started = await session.seek({ kind: 'time', milliseconds: 7_000 });
    expect(started).toMatchObject({ number: sent, location: count(7), position: 7_000 });
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual([...everything(sent), ...everything(count(3)).map((index) => count(7) + index)]);
    expect(port.log).toEqual(['start 0', 'data', `start ${sent}`, 'data', 'end done']);
  });

  it('during a pause sets where it continues', async () => {
    const session = await playing({ file: 'a' });
    session.pause();
    await session.seek({ kind: 'time', milliseconds: 8_000 });
    await house.settle();
    expect(port.starts).toHaveLength(1);
    expect(await session.resume()).toMatchObject({ location: count(8) });
  });

  it('starts at the key frame of the streams that were chosen meanwhile', async () => {
    const session = await opened({ file: 'a' });
    const started = session.play({ ...START, position: { kind: 'time', milliseconds: 1_500 } });
    session.select(NO_STREAMS, false);
    session.select({ levels: new Map([[2, 0]]), others: 2 }, false);
    // Audio alone has a start in each packet, video at whole seconds.
    expect((await started)!.location).toBeGreaterThan(count(1));
  });
});

describe('trick play', () => {
  it('sends key frames, and ends at the start when going backwards', async () => {
    const session = await opened({ file: 'a' });
    await session.play({ ...START, rate: 5 });
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual(everything(10).map((second) => count(second)));
    await session.play({ ...START, position: { kind: 'time', milliseconds: 5_000 }, rate: -5 });
    await house.until('the start', logged('end rewound'));
    expect(port.locations.slice(10)).toEqual([5, 4, 3, 2, 1, 0].map((second) => count(second)));
    expect(session.state).toBe('ready');
  });

  it('continues in the next entry at its rate, or at normal rate if the entry has no key frames', async () => {
    await house.media('b', { seconds: 10 });
    await house.media('sound', { seconds: 1, video: false });
    const session = await opened({ file: 'a' }, { file: 'b' }, { file: 'sound' });
    await session.play({ ...START, rate: 5 });
    await house.until('the end', logged('end done'));
    expect(port.starts.map(({ pace }) => pace.rate)).toEqual([5, 5, 1]);
  });
});

describe('the end', () => {
  it('of datagrams is reported once they are sent', async () => {
    port.framing = 'datagrams';
    const session = await playing({ file: 'a' });
    await house.until('the end of the file', () => port.awaitsDrain.length === 1);
    expect([port.ends, session.state]).toEqual([[], 'ready']);
    port.awaitsDrain[0]!();
    expect(port.ends).toEqual([{ how: 'done', number: count(10), reason: 0 }]);
  });

  it('of datagrams is not reported to a player that has started again', async () => {
    port.framing = 'datagrams';
    const session = await playing({ file: 'a' });
    await house.until('the end of the file', () => port.awaitsDrain.length === 1);
    await session.play(START);
    port.awaitsDrain[0]!();
    expect(port.ends).toEqual([]);
  });

  it('has the reason of the source, and then no entry follows', async () => {
    const live = new Feeder(house);
    await playing(live.broadcast, { file: 'a' });
    live.broadcast.write({ type: 'end', moreEntries: false, reason: 0x8004_0005 });
    expect(port.ends).toEqual([{ how: 'failed', number: 0, reason: 0x8004_0005 }]);
  });

  it('by an operator is reported to the player, and everything is given back', async () => {
    const session = await playing({ file: 'a' });
    session.stop('kicked');
    expect([port.log.at(-1), session.state, house.open]).toEqual(['end kicked', 'init', 0]);
    house.tick(5_000);
    await house.settle();
    expect(port.log.at(-1)).toBe('end kicked');
  });

  it('of a file that can no longer be read is reported to the player and to the operator', async () => {
    await playing({ file: 'a' });
    await house.files.close();
    await house.until('the failure', logged('end failed'));
    expect(house.errors.splice(0)).toHaveLength(1);
  });
});

describe('a session that is ready', () => {
  it('keeps its program for 30 s, then only its place, and opens the program again', async () => {
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.locations.length > 60);
    session.pause();
    const sent = port.locations.length;
    house.tick(29_900);
    expect(house.open).toBe(1);
    house.tick(200);
    expect([house.open, session.program, session.number]).toEqual([0, undefined, sent]);
    expect(await session.resume()).toMatchObject({ location: sent, number: sent });
    expect([house.open, port.changed]).toEqual([1, []]);
  });

  it('announces the entry if it has changed by then', async () => {
    const session = house.session(port);
    await house.media('b', { seconds: 1 });
    session.open(await house.program({ file: 'a' }), async () => house.program({ file: 'b' }));
    await session.play(START);
    session.pause();
    house.tick(30_001);
    await session.resume();
    await house.until('the end', logged('end done'));
    expect(port.log.slice(-4)).toEqual(['header b', expect.stringMatching(/^start/), 'data', 'end done']);
  });

  it('passes its place on when it opens the program again', async () => {
    const session = house.session(port);
    const places: unknown[] = [];
    const made = [{ file: 'a' }, { file: 'a' }, { file: 'a' }];
    session.open(await house.program(...made), async (place) => {
      places.push(place);
      const program = await house.program(...made);
      await program.seek(place.entry, 0);
      return program;
    });
    await session.play(START);
    await session.next(1);
    await session.next(1);
    await session.next(-1);
    const begun = port.locations.length;
    await house.until('some packets', () => port.locations.length > begun + 30);
    session.pause();
    const sent = port.locations.length;
    const location = port.locations.at(-1)!;
    house.tick(30_001);
    expect(await session.resume()).toMatchObject({ location: location + 1, number: sent });
    expect(places).toEqual([{ entry: 2, reached: 3 }]);
  });

  it('cannot resume if its content is gone, and reports that', async () => {
    const session = house.session(port);
    session.open(await house.program({ file: 'a' }), async () => undefined);
    await session.play(START);
    session.pause();
    house.tick(30_001);
    await expect(session.resume()).rejects.toMatchObject({ kind: 'gone' });
    expect(session.state).toBe('ready');
  });

  it('that is stopped while its program is opened again leaves nothing open', async () => {
    const session = house.session(port);
    let give: (program: Program) => void = () => undefined;
    const made = { file: 'a' };
    session.open(await house.program(made), () => new Promise((resolve) => (give = resolve)));
    session.pause();
    house.tick(30_001);
    const started = session.play(START);
    session.stop('closed');
    give(await house.program(made));
    expect(await started).toBeUndefined();
    expect(house.open).toBe(0);
  });

  it('is one of 512 on as many files, which do not hold up those that play', async () => {
    await house.close();
    house = await House.build({ maxFiles: 128, maxReady: 64 });
    const idle = 512;
    for (let index = 0; index < idle; index++) {
      const name = `${index}`;
      await house.media(name, { seconds: 1 });
      const session = house.session(new FakePort());
      session.open(await house.program({ file: name }), async () => house.program({ file: name }));
      if (index % 2 === 0) await session.play(START);
      session.pause();
    }
    expect([house.open, house.host.ready.size]).toEqual([64, 64]);
    await house.media('z', { seconds: 4 });
    await playing({ file: 'z' });
    await house.until('the end', logged('end done'));
    expect(port.locations).toEqual(everything(count(4)));
  });
});

describe('players that join at the same key frame', () => {
  it('share one buffer', async () => {
    const live = new Feeder(house);
    live.packet({ key: true });
    live.packet();
    const ports = [new FakePort(), new FakePort()];
    const put: Buffer[][] = [[], []];
    for (const [index, other] of ports.entries()) {
      other.format = dataWire(400, { padding: 'cut', marksUnpaced: true });
      const { output } = other;
      Object.defineProperty(other, 'output', {
        value: { ...output, put: ({ bytes }: { bytes: Buffer }) => put[index]!.push(bytes) },
      });
      const session = house.session(other);
      session.open(await house.program(live.broadcast));
      await session.play(START);
    }
    live.packet();
    await house.until('the next packet', () => put.every((all) => all.length === 2));
    expect(put[0]).toHaveLength(2);
    expect(put[0]![0]).toBe(put[1]![0]);
    expect(put[0]![1]).toBe(put[1]![1]);
  });
});

describe('players of one file', () => {
  it('share its bytes where their numbers agree, at whatever time they come', async () => {
    await house.media('long.wmv', { seconds: 20 });
    const put: Buffer[][] = [[], []];
    const memory = (buffers: readonly Buffer[]) => buffers.map(({ buffer, byteOffset }) => ({ buffer, byteOffset }));
    for (const all of put) {
      const other = new FakePort();
      other.format = dataWire(400, { padding: 'cut', marksUnpaced: false });
      const output = { ...other.output, put: ({ bytes }: { bytes: Buffer }) => all.push(bytes) };
      Object.defineProperty(other, 'output', { value: output });
      const session = house.session(other);
      session.open(await house.program({ file: 'long.wmv' }));
      await session.play(START);
      await house.until('the burst', () => Buffer.concat(all).length > 10_000);
    }
    const [one, other] = put.map(memory);
    expect(one!.length).toBeGreaterThan(1);
    // The first reads of a player are short, so where its batches begin depends on the time, but not where the bytes are.
    const regions = new Set(one!.map(({ buffer }) => buffer));
    for (const { buffer } of other!) expect(regions).toContain(buffer);
    expect(other![0]).toEqual(one![0]);
  });
});

describe('resends', () => {
  const twoUnits = textWire('two', { units: () => 2, mask: 0xffff });

  beforeEach(() => {
    port.framing = 'datagrams';
    port.format = twoUnits;
  });

  it('come from a file, from the last 10 s, even after another entry has begun', async () => {
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.packets.length > 100);
    // Two units a packet.
    const { bytes, ends } = session.resend([41, 40]);
    expect(bytes.toString()).toBe('20:00041\n20:00040\n');
    expect(ends).toEqual([9, 18]);
    expect(session.resend([session.number, session.number + 7, -1]).ends).toEqual([]);
    expect(session.resend(Array.from({ length: 200 }, () => 40)).ends).toHaveLength(128);
    session.pause();
    expect(session.resend([41]).ends).toHaveLength(1);
    house.tick(10_001);
    expect([session.resend([41]).ends, house.host.resends.used]).toEqual([[], 0]);
  });

  it('are kept only for datagrams', async () => {
    port.framing = 'stream';
    const session = await playing({ file: 'a' });
    await house.until('some packets', () => port.packets.length > 100);
    expect([session.resend([41]).ends, house.host.resends.used]).toEqual([[], 0]);
  });

  it('keep at most 256 KiB for a player, and a total for all, the latest packets of each', async () => {
    const now = () => house.now;
    const budget = new ResendBudget(600_000);
    const rings = [budget.ring(now), budget.ring(now), budget.ring(now)];
    for (let number = 0; number < 1_000; number++)
      for (const ring of rings) ring.add(number, 1, { location: number, bytes: Buffer.alloc(1_000) });
    expect(rings[0]!.bytes).toBeLessThanOrEqual(256 * 1024);
    expect(rings[0]!.find(999)!.packet.location).toBe(999);
    expect(rings[0]!.find(700)).toBeUndefined();
    expect(budget.used).toBeLessThanOrEqual(600_000);
    for (const ring of rings) ring.clear();
    expect(budget.used).toBe(0);
  });
});

import { jest } from '@jest/globals';
import { parsePacket } from '../../src/asf/packet.js';
import { Broadcast } from '../../src/media/broadcast.js';
import { DatagramOutput } from '../../src/media/datagrams.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';
import { PACKETS_A_SECOND } from '../wmsp/content.js';
import { Feeder, House, titleOf } from './support.js';
import { ToyDatagramClient, ToyDatagramServer } from './toy-datagrams.js';
import { ToyStreamClient, ToyStreamServer } from './toy-stream.js';

let house: House;

beforeEach(async () => {
  house = await House.build();
  await house.media('file', { seconds: 4 });
});

afterEach(() => house.close());

describe('a protocol over bytes', () => {
  it('plays live, then a file, then live, with the streams that were chosen', async () => {
    const live = new Feeder(house, { title: 'one' });
    const again = new Feeder(house, { title: 'three' });
    for (const { broadcast } of [live, again]) expect(broadcast.live).toBe(true);
    const client = new ToyStreamClient();
    const program = await house.program(live.broadcast, { file: 'file' }, again.broadcast);
    const server = new ToyStreamServer(house.host, program, (bytes) => client.receive(bytes));
    await server.command(`PLAY ${VIDEO}`);
    const packets = () => client.events.filter(({ kind }) => kind === 'packet').length;
    for (let index = 0; index < 10; index++) {
      live.packet({ key: index % 5 === 0 });
      live.packet({ stream: AUDIO });
    }
    await house.until('live packets', () => packets() === 10);
    live.end();
    await house.until('the other broadcast', () => client.events.filter(({ kind }) => kind === 'start').length === 3);
    again.packet({ key: true });
    again.packet({ stream: AUDIO });
    await house.until('live packets', () => client.events.at(-1)!.kind === 'packet');
    await server.command(`SELECT ${AUDIO}`);
    for (const stream of [AUDIO, VIDEO, AUDIO]) again.packet({ stream });
    await house.until('audio', () => lastStream(client) === AUDIO);
    again.end();
    await house.until('the end', () => client.events.at(-1)!.kind === 'end');
    const story = client.events.map((event) =>
      event.kind === 'header'
        ? titleOf(event.header)
        : event.kind === 'packet'
          ? 'data'
          : `${event.kind} ${event.text}`,
    );
    const inFile = (PACKETS_A_SECOND * 4 * 2) / 3;
    expect(story.filter((line, index) => line !== 'data' || story[index - 1] !== 'data')).toEqual([
      ...['one', 'start 0', 'data', 'end more-follows'],
      ...['file', 'start 10', 'data', 'end more-follows'],
      ...['three', `start ${10 + inFile}`, 'data', 'end done'],
    ]);
    const numbers = client.events.flatMap((event) => (event.kind === 'packet' ? [event.number] : []));
    expect(numbers).toEqual(numbers.map((_, index) => index));
    const streams = client.events.flatMap((event) => (event.kind === 'packet' ? [streamOf(event.bytes)] : []));
    expect(streams.slice(0, 10 + inFile + 1).every((stream) => stream === VIDEO)).toBe(true);
    expect(streams.at(-1)).toBe(AUDIO);
  });
});

const streamOf = (bytes: Buffer) => parsePacket(bytes).payloads[0]!.stream;
function lastStream({ events }: ToyStreamClient): number | undefined {
  const last = events.at(-1)!;
  return last.kind === 'packet' ? streamOf(last.bytes) : undefined;
}

describe('a protocol over datagrams', () => {
  let client: ToyDatagramClient;
  let server: ToyDatagramServer;
  let now: number;
  let tick: () => void;
  /** The numbers whose datagrams the network loses, once each. */
  let lost: Set<number>;

  beforeEach(() => {
    client = new ToyDatagramClient();
    now = 0;
    tick = () => undefined;
    lost = new Set();
    const clock = {
      now: () => now,
      every: (_: number, then: () => void) => {
        tick = then;
        return () => (tick = () => undefined);
      },
    };
    const sender = {
      send: (
        bytes: Buffer,
        from: number,
        length: number,
        _port: number,
        _to: string,
        done: (error: null, bytes: number) => void,
      ) => {
        const datagram = Buffer.from(bytes.subarray(from, from + length));
        if (!lost.delete(datagram.readUInt16BE(0))) client.receive(datagram);
        done(null, length);
      },
    };
    server = new ToyDatagramServer(house.host, clock, sender, (line) => client.hear(line));
  });

  afterEach(() => {
    server.session.stop('closed');
    server.output.close();
  });

  /** Lets the output send what is waiting. */
  async function flow(what: string, happened: () => boolean): Promise<void> {
    await house.until(
      what,
      () => {
        now += 4;
        tick();
        return happened();
      },
      4,
    );
  }

  /** Lets some seconds pass in which nothing should happen. */
  async function rest(): Promise<void> {
    let turns = 0;
    await flow('nothing', () => ++turns > 50);
    house.tick(5_000);
    await house.settle();
  }

  const locations = () => client.packets.map(({ location }) => location);
  const firstNumber = () => Number(client.lines.find((line) => line.startsWith('START'))!.slice(6));

  it('takes two datagrams for each packet, with the numbers of the lane, which are announced first', async () => {
    const live = new Feeder(house);
    for (let index = 0; index < 40; index++) live.packet({ key: index % 10 === 0 });
    server.session.open(await house.program(live.broadcast));
    await server.command('PLAY');
    await flow('the burst', () => client.packets.length >= 10);
    expect(client.numbers[0]).toBe(firstNumber() & 0xffff);
    // The lane has numbered earlier packets as well.
    expect(client.numbers[0]).toBe(locations()[0]! * 2);
    expect(client.missing).toEqual([]);
    for (const { bytes } of client.packets) expect(parsePacket(bytes).payloads).toHaveLength(1);
  });

  it('pauses and resumes, and continues with the next numbers', async () => {
    server.session.open(await house.program({ file: 'file' }));
    await server.command('PLAY');
    await flow('some packets', () => client.packets.length > 30);
    await server.command('PAUSE');
    await flow('the rest of the queue', () => server.output.backlog === 0);
    const before = client.packets.length;
    await rest();
    expect(client.packets).toHaveLength(before);
    await server.command('RESUME');
    await flow('the end', () => client.lines.includes(`END done ${server.session.number}`));
    expect(locations()).toEqual(Array.from({ length: 4 * PACKETS_A_SECOND }, (_, index) => index));
    expect(client.missing).toEqual([]);
  });

  it('announces another entry only once the player has said that it plays this one', async () => {
    await house.media('other', { seconds: 1 });
    server.session.open(await house.program({ file: 'file' }, { file: 'other' }));
    await server.command('PLAY');
    await flow('the end of the entry', () => client.lines.some((line) => line.startsWith('END more-follows')));
    await rest();
    expect(client.lines.some((line) => line.startsWith('NEXT'))).toBe(false);
    expect(server.session.state).toBe('waiting');
    await server.command('PLAY');
    await flow('the end', () => client.lines.some((line) => line.startsWith('END done')));
    const sent = 4 * PACKETS_A_SECOND * 2;
    expect(client.lines).toEqual([
      'START 0',
      `END more-follows ${sent}`,
      'NEXT 2',
      `START ${sent}`,
      `END done ${sent + PACKETS_A_SECOND * 2}`,
    ]);
  });

  it('resends lost packets of a file', async () => {
    server.session.open(await house.program({ file: 'file' }));
    lost = new Set([10, 11, 33]);
    await server.command('PLAY');
    await flow('some packets', () => client.packets.length > 40);
    expect(client.missing).toEqual([10, 11, 33]);
    await server.command('RESEND 10 11 33');
    await flow('what was lost', () => client.missing.length === 0);
    expect(locations()).toContain(5);
    const expected = Buffer.concat(client.packets.filter(({ location }) => location === 16).map(({ bytes }) => bytes));
    expect(parsePacket(expected).payloads[0]!.dataLength).toBe(100);
  });

  it('resends lost packets of a broadcast, from before and after the dropped ones', async () => {
    const broadcast = new Broadcast({ batchInterval: 0, burst: 500, now: () => house.now });
    broadcast.write({ type: 'header', header: testHeader({ preroll: 0 }) });
    let sent = 0;
    const feed = (count: number) => {
      for (; count > 0; count--, sent++)
        broadcast.write({ type: 'packet', packet: testPacket(sent * 100, { key: sent % 10 === 0, preroll: 0 }) });
    };
    feed(1);
    server.session.open(await house.program(broadcast));
    await server.command('PLAY');
    lost = new Set([firstNumber() + 2, firstNumber() + 3].map((number) => number & 0xffff));
    feed(5);
    await flow('some packets', () => client.packets.length >= 5);
    // More is waiting than is kept: packets are dropped until that has been sent, and then up to a key frame.
    const backlog = jest.spyOn(DatagramOutput.prototype, 'backlog', 'get').mockReturnValue(100_000_000);
    feed(4);
    await house.settle();
    feed(5);
    await house.settle();
    expect(server.session.packets.skipped).toBe(5);
    backlog.mockRestore();
    await flow('the backlog', () => server.output.backlog === 0);
    const before = client.packets.length;
    lost.add((server.session.number + 1) & 0xffff);
    feed(21);
    await flow('what comes after the gap', () => client.packets.length > before + 5);
    expect(client.missing).toHaveLength(3);
    await server.command(`RESEND ${client.missing.join(' ')}`);
    await flow('what was lost', () => client.missing.length === 0);
    for (const { location, bytes } of client.packets)
      expect(parsePacket(bytes).payloads[0]!.key).toBe(location % 10 === 0);
    expect(locations()).toContain(1);
  });
});

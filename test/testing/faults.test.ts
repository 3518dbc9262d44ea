import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import type { DatagramSender } from '../../src/media/datagrams.js';
import type { AsfEvent, AsfSink } from '../../src/media/events.js';
import { pump } from '../../src/media/pump.js';
import { MMSP_FAULTS } from '../../src/mmsp/server/fault-frames.js';
import { type FaultName, faultTable, parseFaults } from '../../src/testing/fault-plan.js';
import { FaultyDatagrams } from '../../src/testing/faulty-datagrams.js';
import { FaultyConnections, RequestFaults } from '../../src/testing/faulty-socket.js';
import { readMarkedObject } from '../../src/testing/marked-object.js';
import { faultySink, faultySource } from '../../src/testing/packet-faults.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';

const PACKETS = 200;
/** One object a packet, so that a packet says which one it is. */
const STREAM = { video: [80_000], gop: 10, audio: 0, packetSize: 900, layout: { payloads: 'single' as const } };

/** Returns the first packets of a stream, and its header. */
let made: Promise<{ header: AsfEvent; packets: DataPacket[] }> | undefined;
const stream = () => (made ??= makeStream());

async function makeStream(): Promise<{ header: AsfEvent; packets: DataPacket[] }> {
  const packets: DataPacket[] = [];
  let header: AsfEvent | undefined;
  for await (const event of new SyntheticSource(STREAM)) {
    if (event.type === 'header') header = event;
    if (event.type === 'packet' && packets.push(event.packet) === PACKETS) break;
  }
  return { header: header!, packets };
}

/** What a `$` frame is: its letter, the length that it gives, what it has. */
interface Frame {
  readonly id: string;
  readonly length: number;
  readonly payload: Buffer;
}

function frame(id: string, payload: Buffer): Buffer {
  const head = Buffer.from([0x24, id.charCodeAt(0), 0, 0]);
  head.writeUInt16LE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

const dataFrame = (bytes: Buffer, number: number) => {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(number, 0);
  head[4] = 1;
  head[5] = number & 255;
  head.writeUInt16LE(8 + bytes.length, 6);
  return frame('D', Buffer.concat([head, bytes]));
};

/** The frames that a server sends: a header, the packets, an end. */
async function framesSent(): Promise<Buffer[]> {
  const { header, packets } = await stream();
  const bytes = header.type === 'header' ? header.header.bytes : Buffer.alloc(0);
  return [
    frame('H', Buffer.concat([Buffer.alloc(8), bytes])),
    ...packets.map(({ bytes: each }, n) => dataFrame(each, n)),
    frame('E', Buffer.alloc(4)),
  ];
}

/** Reads frames by the next `$` and letter, so that lengths that lie do not matter. @param frames in the order sent */
function framesIn(bytes: Buffer): Frame[] {
  const starts: number[] = [];
  for (let at = 0; at + 4 <= bytes.length; at++) {
    if (bytes[at] === 0x24 && 'CDEH'.includes(String.fromCharCode(bytes[at + 1]!)) && isStart(bytes, at))
      starts.push(at);
  }
  return starts.map((at, index) => ({
    id: String.fromCharCode(bytes[at + 1]!),
    length: bytes.readUInt16LE(at + 2),
    payload: bytes.subarray(at + 4, starts[index + 1] ?? bytes.length),
  }));
}

/** A $D frame says its length twice, and only the first one may lie. */
function isStart(bytes: Buffer, at: number): boolean {
  if (bytes[at + 1] !== 0x44) return bytes.readUInt16LE(at + 2) < 5000;
  return bytes.length > at + 12 && bytes.readUInt16LE(at + 10) === 908 && bytes[at + 8] === 1;
}

interface Received {
  readonly body: Buffer;
  readonly milliseconds: number;
  readonly ended: boolean;
}

const servers: Array<ReturnType<typeof createServer>> = [];
afterAll(() => {
  for (const server of servers) server.close();
});

/** Sends an answer with frames over faulty connections; returns what each client gets. */
async function exchange(
  faults: string,
  {
    clients = 1,
    wait = 10_000,
    form = 'close',
  }: { clients?: number; wait?: number; form?: 'close' | 'chunked' | 'length' } = {},
): Promise<Received[]> {
  const connections = new FaultyConnections(parseFaults(faults));
  const frames = await framesSent();
  // The same buffers for everybody, as a server has them.
  const kept = frames.map((each) => Buffer.from(each));
  const server = createServer((socket) => {
    connections.take(socket, 'http');
    socket.on('error', () => undefined);
    answer(socket, frames, form);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const results: Received[] = [];
  for (let client = 0; client < clients; client++) results.push(await receive(server.address() as AddressInfo, wait));
  expect(frames.every((each, index) => each.equals(kept[index]!))).toBe(true);
  return results;
}

function answer(socket: Socket, frames: readonly Buffer[], form: 'close' | 'chunked' | 'length'): void {
  const size = frames.reduce((sum, { length }) => sum + length, 0);
  const more = { close: '', chunked: 'Transfer-Encoding: chunked\r\n', length: `Content-Length: ${size}\r\n` }[form];
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/x-mms-framed\r\n${more}\r\n`);
  // In pieces that have nothing to do with the frames.
  const all = Buffer.concat([...frames]);
  for (let at = 0; at < all.length; at += 1000) {
    const piece = all.subarray(at, at + 1000);
    if (form === 'chunked') socket.write(`${piece.length.toString(16)}\r\n`);
    socket.write(piece);
    if (form === 'chunked') socket.write('\r\n');
  }
  if (form === 'chunked') socket.end('0\r\n\r\n');
  else socket.end();
}

/** Reads until the end, or until nothing has come for a while. */
async function receive({ port }: AddressInfo, wait: number): Promise<Received> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  const begun = performance.now();
  let last = begun;
  const ended = await new Promise<boolean>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const quiet = () => {
      clearTimeout(timer);
      timer = setTimeout(() => resolve(false), wait);
    };
    quiet();
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      last = performance.now();
      quiet();
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.on('error', () => undefined);
  });
  socket.destroy();
  const all = Buffer.concat(chunks);
  return { body: all.subarray(all.indexOf('\r\n\r\n') + 4), milliseconds: last - begun, ended };
}

/** The numbers of the media objects that packets hold; undefined for a damaged one. */
const numbersOf = (packets: readonly Buffer[]) =>
  packets.map((bytes) => {
    try {
      const packet = parsePacket(bytes);
      const [payload] = packet.payloads;
      return readMarkedObject(bytes.subarray(payload!.dataStart, payload!.dataStart + payload!.dataLength))?.number;
    } catch {
      return undefined;
    }
  });

const dataOf = (received: Received | undefined) => framesIn(received!.body).filter(({ id }) => id === 'D');
const packetsOf = (received: Received | undefined) => dataOf(received).map(({ payload }) => payload.subarray(8));

/** What a packet fault does, by the packets that come out. */
const packetRows: Readonly<
  Partial<
    Record<FaultName, { readonly fault: string; check(packets: readonly Buffer[], sent: readonly Buffer[]): void }>
  >
> = {
  lose: {
    fault: 'lose=1/10',
    check: (packets, sent) => expect(packets).toEqual(sent.filter((_, index) => (index + 1) % 10 !== 0)),
  },
  duplicate: {
    fault: 'duplicate=1/10',
    check: (packets, sent) =>
      expect(packets).toEqual(sent.flatMap((each, index) => ((index + 1) % 10 === 0 ? [each, each] : [each]))),
  },
  reorder: {
    fault: 'reorder=1/10',
    check: (packets, sent) => {
      const swapped = [...sent];
      for (let at = 9; at + 1 < sent.length; at += 10) [swapped[at], swapped[at + 1]] = [sent[at + 1]!, sent[at]!];
      expect(packets).toEqual(swapped);
    },
  },
  delay: {
    fault: 'delay=1/10:400ms',
    check: (packets, sent) => {
      const late = sent[9]!;
      const at = packets.findIndex((each) => each.equals(late));
      expect(parsePacket(packets[at - 1]!).sendTime).toBeGreaterThanOrEqual(parsePacket(late).sendTime + 400);
      expect(packets).toHaveLength(sent.length);
    },
  },
  corrupt: {
    fault: 'corrupt=1/10',
    check: (packets, sent) => {
      expect(packets.map((each, index) => each.equals(sent[index]!))).toEqual(
        sent.map((_, index) => (index + 1) % 10 !== 0),
      );
      const changed = [...packets[9]!].filter((byte, at) => byte !== sent[9]![at]).length;
      expect(changed).toBeGreaterThanOrEqual(1);
      expect(changed).toBeLessThanOrEqual(8);
    },
  },
  jump: {
    fault: 'jump=50:-2s',
    check: (packets, sent) => {
      const times = (all: readonly Buffer[]) =>
        all.map((each) => [parsePacket(each).sendTime, parsePacket(each).payloads[0]!.presentationTime]);
      const moved = (time: number, index: number) => (index < 50 ? time : (time - 2000) >>> 0);
      expect(times(packets)).toEqual(times(sent).map((pair, index) => pair.map((time) => moved(time, index))));
      expect(numbersOf(packets)).toEqual(numbersOf(sent));
    },
  },
};

/** What a fault does on the wire, by what a client receives. */
const wireRows: Readonly<Partial<Record<FaultName, () => Promise<void>>>> = {
  lengths: async () => {
    const [received] = await exchange('lengths=1/10');
    const lies = dataOf(received).map(({ length, payload }) => length - payload.length);
    expect(lies.filter((_, index) => (index + 1) % 10 !== 0).every((lie) => lie === 0)).toBe(true);
    expect(lies.filter((_, index) => (index + 1) % 10 === 0).every((lie) => lie !== 0 && Math.abs(lie) <= 64)).toBe(
      true,
    );
  },
  flags: async () => {
    const [received] = await exchange('flags=1/10');
    const wrong = dataOf(received).map(({ payload }, index) => payload[5] !== (index & 255));
    expect(wrong).toEqual(wrong.map((_, index) => (index + 1) % 10 === 0));
  },
  locations: async () => {
    const [received] = await exchange('locations=1/10');
    const wrong = dataOf(received).map(({ payload }, index) => payload.readUInt32LE(0) !== index);
    expect(wrong).toEqual(wrong.map((_, index) => (index + 1) % 10 === 0));
  },
  change: async () => {
    const [received] = await exchange('change=40');
    const order = framesIn(received!.body)
      .map(({ id }) => id)
      .join('');
    expect(order).toBe(`H${`${'D'.repeat(40)}C`.repeat(5)}E`);
  },
  'no-end': async () => {
    const [received] = await exchange('no-end');
    expect(
      framesIn(received!.body)
        .map(({ id }) => id)
        .join(''),
    ).toBe(`H${'D'.repeat(PACKETS)}`);
  },
  'cut-header': async () => {
    const [received] = await exchange('cut-header=20');
    const [head] = framesIn(received!.body);
    const sent = framesIn(Buffer.concat(await framesSent()))[0]!;
    expect(head!.payload.equals(sent.payload.subarray(0, -20))).toBe(true);
    expect(head!.length).toBe(head!.payload.length);
  },
  cut: async () => {
    const [byPackets] = await exchange('cut=50');
    expect(dataOf(byPackets)).toHaveLength(50);
    expect(byPackets!.ended).toBe(true);
    const [byBytes] = await exchange('cut=10kB');
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/x-mms-framed\r\n\r\n'.length;
    expect(byBytes!.body.length).toBe(10_000 - head);
  },
  stall: async () => {
    const [forEver] = await exchange('stall=50', { wait: 1500 });
    expect(dataOf(forEver)).toHaveLength(50);
    expect(forEver!.ended).toBe(false);
    const [forAWhile] = await exchange('stall=50:150ms');
    expect(dataOf(forAWhile)).toHaveLength(PACKETS);
    expect(forAWhile!.milliseconds).toBeGreaterThan(140);
  },
  slow: async () => {
    const [received] = await exchange('slow=2M');
    const bits = received!.body.length * 8;
    expect(dataOf(received)).toHaveLength(PACKETS);
    // Timers are late on a busy machine, but never early.
    expect(received!.milliseconds).toBeGreaterThan((bits / 2_000_000) * 750);
  },
};

/** Runs events through faults. */
async function faulted(faults: string, way: 'source' | 'sink'): Promise<AsfEvent[]> {
  const { header, packets } = await stream();
  const events: AsfEvent[] = [
    header,
    ...packets.map((packet) => ({ type: 'packet', packet }) as const),
    { type: 'end', moreEntries: false, reason: 0 },
  ];
  const source = {
    async *[Symbol.asyncIterator]() {
      yield* events;
    },
    close: async () => undefined,
  };
  const out: AsfEvent[] = [];
  const sink: AsfSink = { write: (event) => void out.push(event), close: async () => undefined };
  const plan = parseFaults(faults);
  if (way === 'source') await pump(faultySource(source, plan), [sink]);
  else await pump(source, [faultySink(sink, plan)]);
  return out;
}

describe('the table of faults', () => {
  const tested = [...Object.keys(packetRows), ...Object.keys(wireRows), 'header', 'refuse'];

  it('has a test for each row', () => {
    expect([...tested].sort()).toEqual(Object.keys(faultTable).sort());
  });

  describe.each(Object.entries(packetRows))('%s', (_name, { fault, check }) => {
    it.each(['source', 'sink'] as const)('in a %s', async (way) => {
      const { packets } = await stream();
      const events = await faulted(fault, way);
      const out = events.flatMap((event) => (event.type === 'packet' ? [event.packet.bytes] : []));
      check(
        out,
        packets.map(({ bytes }) => bytes),
      );
      expect(events.at(-1)?.type).toBe('end');
    });

    it.each(['close', 'chunked', 'length'] as const)('on the wire, in a body of the form %s', async (form) => {
      const { packets } = await stream();
      const [received] = await exchange(fault, { form });
      const body = form === 'chunked' ? dechunked(received!.body) : received!.body;
      check(
        packetsOf({ ...received!, body }),
        packets.map(({ bytes }) => bytes),
      );
    });
  });

  it.each(Object.entries(wireRows))('%s', async (_name, check) => check());

  it('header: another one after as many packets, as a new entry', async () => {
    const events = await faulted('header=80', 'sink');
    const order = events.map(({ type }) => type[0]).join('');
    expect(order).toBe(`h${'p'.repeat(80)}eh${'p'.repeat(80)}eh${'p'.repeat(40)}e`);
    const titles = events.flatMap((event) => (event.type === 'header' ? [titleOf(event.header.objects)] : []));
    expect(titles).toEqual(['Synthetic 1', 'Another header 1', 'Another header 2']);
  });

  it('refuse: with the status, as often as asked', () => {
    const statuses = (faults: string) => {
      const requests = new RequestFaults(parseFaults(faults));
      return Array.from({ length: 200 }, () => requests.next());
    };
    expect(statuses('refuse=404')).toEqual(Array(200).fill(404));
    expect(statuses('refuse=503:1/4').slice(0, 5)).toEqual([undefined, undefined, undefined, 503, undefined]);
    const some = statuses('refuse=503:20%,seed=3');
    expect(some.filter((status) => status === 503).length).toBeGreaterThan(20);
    expect(statuses('refuse=503:20%,seed=3')).toEqual(some);
  });
});

function titleOf(objects: readonly { readonly type: string }[]): string | undefined {
  return (objects.find(({ type }) => type === 'contentDescription') as { title?: string } | undefined)?.title;
}

function dechunked(bytes: Buffer): Buffer {
  const out: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size > 0)) return Buffer.concat(out);
    out.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

describe('a faulty connection', () => {
  it.each(['reorder=1/10', 'delay=1/10:400ms', 'lose=1/10'])(
    'does %s although the sender uses its buffers again',
    async (fault) => {
      const connections = new FaultyConnections(parseFaults(fault));
      const frames = await framesSent();
      const server = createServer((socket) => {
        connections.take(socket, 'http');
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/x-mms-framed\r\n\r\n');
        sendFromOneBuffer(socket, Buffer.concat(frames), 0);
      });
      servers.push(server);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const [reused] = [await receive(server.address() as AddressInfo, 10_000)];
      const [kept] = await exchange(fault);
      expect(reused.body.equals(kept!.body)).toBe(true);
    },
  );

  it('answers HEAD at once, and frames after it as always', async () => {
    const connections = new FaultyConnections(parseFaults('cut-header=8'));
    const body = (await framesSent())[0]!;
    const server = createServer((socket) => {
      connections.take(socket, 'http');
      socket.on('data', (bytes: Buffer) => {
        const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;
        socket.write(bytes.toString().startsWith('HEAD') ? head : Buffer.concat([Buffer.from(head), body]));
      });
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const answer = async (request: string) => {
      socket.write(`${request} /x HTTP/1.1\r\nHost: x\r\n\r\n`);
      const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(5_000) })) as [Buffer];
      return bytes.toString('latin1');
    };
    expect(await answer('HEAD')).toContain(`Content-Length: ${body.length}\r\n`);
    expect(await answer('GET')).toContain(`Content-Length: ${body.length - 8}\r\n`);
    socket.destroy();
  });
});

/** Sends from one buffer, as a server does that pools them: it is overwritten as soon as its bytes were taken. */
function sendFromOneBuffer(socket: Socket, bytes: Buffer, at: number, buffer = Buffer.alloc(1000)): void {
  if (at >= bytes.length) {
    socket.end();
    return;
  }
  const size = bytes.copy(buffer, 0, at, at + buffer.length);
  socket.write(buffer.subarray(0, size), () => {
    buffer.fill(0);
    sendFromOneBuffer(socket, bytes, at + size, buffer);
  });
}

describe('the datagrams of a player', () => {
  /** Sends datagrams of one byte each, all from one buffer that is used again. */
  const sentBy = (faults: string, players = 1) => {
    const datagrams = new FaultyDatagrams(parseFaults(faults));
    return Array.from({ length: players }, () => {
      const arrived: string[] = [];
      let done = 0;
      const send: DatagramSender['send'] = (bytes, offset, length, port, address, callback) => {
        arrived.push(`${bytes[offset]}${length === 1 ? '' : '?'} ${address}:${port}`);
        callback(null, length);
      };
      const sender = datagrams.take({ send }, MMSP_FAULTS);
      const buffer = Buffer.alloc(3);
      for (let at = 0; at < 100; at++) {
        buffer.fill(at);
        sender.send(buffer, 1, 1, 5, 'host', () => done++);
        expect(buffer.every((byte) => byte === at)).toBe(true);
      }
      return { numbers: arrived.map((each) => Number.parseInt(each, 10)), arrived, done: () => done };
    });
  };
  const all = Array.from({ length: 100 }, (_, at) => at);

  it('are lost, doubled, swapped and changed, as the table says', async () => {
    const [lost] = sentBy('lose=1/10');
    expect(lost!.numbers).toEqual(all.filter((at) => at % 10 !== 9));
    expect(lost!.arrived[0]).toBe('0 host:5');
    await Promise.resolve();
    expect(lost!.done()).toBe(100);
    expect(sentBy('duplicate=1/10')[0]!.numbers.filter((at) => at % 10 === 9)).toHaveLength(20);
    expect(sentBy('reorder=1/10')[0]!.numbers.slice(8, 12)).toEqual([8, 10, 9, 11]);
    expect(sentBy('corrupt=1/10')[0]!.numbers.filter((byte, at) => byte !== at)).toHaveLength(10);
    expect(sentBy('slow=64k,jump=5:10s')[0]!.numbers).toEqual(all);
  });

  it('have choices of their own, the same each time', () => {
    const [first, second] = sentBy('lose=20%,seed=4', 2);
    expect(first!.numbers).not.toEqual(second!.numbers);
    expect(sentBy('lose=20%,seed=4', 2).map(({ numbers }) => numbers)).toEqual([first!.numbers, second!.numbers]);
    const [other, only] = sentBy('lose=1/10,connection=2', 2);
    expect([other!.numbers.length, only!.numbers.length]).toEqual([100, 90]);
  });
});

describe('the frames of a push', () => {
  /** Sends frames as the body of a request, and returns what arrives. */
  async function pushed(faults: string): Promise<Frame[]> {
    const { packets } = await stream();
    const chunks: Buffer[] = [];
    const server = createServer();
    const received = new Promise<void>((resolve) => {
      server.on('connection', (socket) => {
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        socket.on('end', () => resolve());
      });
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    new FaultyConnections(parseFaults(faults), ['wire', 'output']).take(socket, 'http');
    socket.write('POST /x HTTP/1.1\r\nContent-Type: application/x-wms-pushstart\r\nContent-Length: 2147483647\r\n\r\n');
    for (const { bytes } of packets) socket.write(frame('D', bytes));
    socket.end(frame('E', Buffer.alloc(4)));
    await received;
    const all = Buffer.concat(chunks);
    let at = all.indexOf('\r\n\r\n') + 4;
    const frames: Frame[] = [];
    while (at + 4 <= all.length) {
      const size = all[at + 1] === 0x44 ? 900 : 4;
      const payload = all.subarray(at + 4, at + 4 + size);
      frames.push({ id: String.fromCharCode(all[at + 1]!), length: all.readUInt16LE(at + 2), payload });
      at += 4 + size;
    }
    return frames;
  }

  it('have no header of MMS before their packets, so nothing is written there', async () => {
    const { packets } = await stream();
    const clean = await pushed('cut=100000');
    expect(clean.filter(({ id }) => id === 'D').map(({ payload }) => payload)).toEqual(
      packets.map(({ bytes }) => bytes),
    );
    const lying = await pushed('lengths=1/10');
    expect(lying.filter(({ id, length, payload }) => id === 'D' && length !== payload.length)).toHaveLength(
      PACKETS / 10,
    );
    expect(lying.filter(({ id }) => id === 'D').map(({ payload }) => payload)).toEqual(
      packets.map(({ bytes }) => bytes),
    );
    expect((await pushed('no-end')).map(({ id }) => id)).not.toContain('E');
    expect(await pushed('cut=50')).toHaveLength(50);
  }, 120_000);
});

describe('a plan', () => {
  const RANDOM = 'lose=5%,duplicate=5%,reorder=5%,corrupt=5%,flags=5%,locations=5%,lengths=5%,seed=11';

  it('does the same to the same stream each time, and something else with another seed', async () => {
    const [first] = await exchange(RANDOM);
    const [second] = await exchange(RANDOM, { form: 'close' });
    expect(second!.body.equals(first!.body)).toBe(true);
    const [other] = await exchange(RANDOM.replace('seed=11', 'seed=12'));
    expect(other!.body.equals(first!.body)).toBe(false);
  });

  it('touches no bytes of other connections', async () => {
    const clean = Buffer.concat(await framesSent());
    const received = await exchange(`${RANDOM},connection=2`, { clients: 3 });
    expect(received.map(({ body }) => body.equals(clean))).toEqual([true, false, true]);
  });

  it.each([
    ['lost=5%', /"lost=5%": it may be lose, duplicate/],
    ['lose=5', /it takes a share of the packets \(lose=5% or 1\/20\)/],
    ['delay=5%', /it takes a time such as 300ms/],
    ['refuse=200', /a status from 400 to 599/],
    ['no-end=1', /it takes no value/],
    ['seed=7', /names no fault/],
    ['cut=0', /above 0/],
    ['toString', /it may be lose/],
  ])('refuses %s', (text, message) => {
    expect(() => parseFaults(text)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });
});

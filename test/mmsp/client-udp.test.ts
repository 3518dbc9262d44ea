import { PACKET_PAIR } from '../../src/mmsp/messages/base.js';
import { buildData, headerPackets, packetPair } from '../../src/mmsp/messages/data.js';
import * as messages from '../../src/mmsp/messages/server.js';
import { parseClientLog } from '../../src/wmlog/mms-log.js';
import {
  type Answers,
  CLIENT_ID,
  FILE,
  FILE_ID,
  media,
  receive,
  ScriptedServer,
  type ServerFacts,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

async function serve(answers: Answers = {}, facts: ServerFacts = {}): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(answers, facts);
  // Sends again what was asked for, unchanged.
  server.onResend = ({ numbers }, peer) => {
    for (const number of numbers) {
      const bytes = server.sent.get(number);
      if (bytes) peer.data(bytes);
    }
  };
  return server;
}

const times = (count: number) => Array.from({ length: count }, (_, index) => index * 100);

/** Sends packets, of which some are lost, and the end. */
const plays =
  (count: number, lost: readonly number[] = []): NonNullable<Answers['startPlaying']> =>
  (peer, message) => {
    peer.answer(message);
    peer.media(media(count), { lost });
    peer.end();
  };

describe('an MMSP client, over UDP', () => {
  it('[MMSP-126] names its port, and gets header and packets there', async () => {
    await serve({ startPlaying: plays(5) });
    const { error, source, times: received } = await receive({ url: server.url('mmsu') });
    expect(error).toBeUndefined();
    expect(received).toEqual(times(5));
    expect(server.last.of('connectFunnel')[0]!.funnel).toMatchObject({ transport: 'udp', port: server.last.udpPort });
    expect(source.facts!.description.transport).toBe('mmsu');
    expect(server.resends).toEqual([]);
  });

  it('[MMSP-105] [MMSP-106] [MMSP-119] asks for lost packets again, at the port of the URL', async () => {
    await serve({ startPlaying: plays(12, [3, 4, 7]) });
    const { times: received, source } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(12));
    expect(server.resends[0]).toEqual({ clientId: CLIENT_ID, sourceId: FILE_ID & 0xffff, numbers: [3, 4, 7] });
    expect(source.stats).toMatchObject({ recoveredPackets: 3, lostPackets: 0 });
  });

  it('[MMSP-118] counts more than 256 packets, and finds the place of one that comes 300 packets later', async () => {
    await serve({ startPlaying: plays(700, [130, 131, 600]) });
    server.onResend = ({ numbers }, peer) => {
      for (const number of numbers) if (number > 131 || peer.number > 699) peer.data(server.sent.get(number)!);
    };
    const { times: received } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(700));
    expect(server.resends.flatMap(({ numbers }) => numbers)).toEqual(expect.arrayContaining([130, 131, 600]));
  });

  it('asks for the first packets, and for the last ones of a file', async () => {
    await serve({ startPlaying: plays(20, [0, 1, 18, 19]) }, { ...FILE, packetCount: 20 });
    const { times: received, error } = await receive({ url: server.url('mmsu') });
    expect(error).toBeUndefined();
    expect(received).toEqual(times(20));
  });

  it('asks several times, at most 32 packets at once, and gives up what never comes', async () => {
    const lost = Array.from({ length: 70 }, (_, index) => index + 2);
    await serve({ startPlaying: plays(80, lost) });
    server.onResend = ({ numbers }, peer) => {
      for (const number of numbers) if (number !== 5 && server.resends.length > 4) peer.data(server.sent.get(number)!);
    };
    const { times: received, source } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(80).filter((time) => time !== 500));
    expect(source.stats).toMatchObject({ lostPackets: 1, recoveredPackets: 69 });
    expect(Math.max(...server.resends.map(({ numbers }) => numbers.length))).toBe(32);
  });

  it('puts packets in order that overtake each other, without asking', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        const packets = media(6).map((bytes, index) =>
          buildData({ location: index, incarnation: peer.incarnation, flags: index }, bytes),
        );
        for (const index of [0, 2, 1, 5, 4, 3, 3]) peer.data(packets[index]!);
        peer.end();
      },
    });
    const { times: received } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(6));
    expect(server.resends).toEqual([]);
  });

  it('tolerates a server that does not number its packets', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        for (const [location, bytes] of media(20).entries()) {
          peer.data(buildData({ location, incarnation: 4, flags: 0 }, bytes));
        }
        peer.end();
      },
    });
    const { times: received, source } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(20));
    expect(source.stats.lostPackets).toBe(0);
    expect(server.resends).toEqual([]);
  });

  it('[MMSP-010] [MMSP-015] reports what was lost, and what was sent again', async () => {
    await serve({ startPlaying: plays(10, [2, 3, 6]) });
    server.onResend = ({ numbers }, peer) => {
      for (const number of numbers) if (number !== 6) peer.data(server.sent.get(number)!);
    };
    await receive({ url: server.url('mmsu') });
    await server.last.next('logging');
    const log = parseClientLog(server.last.of('logging')[0]!.log);
    expect(log).toMatchObject({
      transport: 'UDP',
      packetsLostNet: 3,
      packetsLostContNet: 2,
      packetsRecoveredResent: 2,
      packetsResent: 2,
      packetsLostClient: 1,
      quality: 90,
    });
    expect(log.resendRequests).toBeGreaterThan(3);
  });

  it('[MMSP-128] goes on over TCP if the server has no UDP', async () => {
    await serve({
      startPlaying: plays(3),
      connectFunnel: (peer, message) => {
        peer.udpPort = 0;
        if (message.funnel.transport === 'udp') peer.send(messages.buildDisconnectedFunnel(0x80004005));
        else peer.answer(message);
      },
    });
    const notes: string[] = [];
    const { times: received, source } = await receive({ url: server.url('mmsu'), onNote: (note) => notes.push(note) });
    expect(received).toEqual(times(3));
    expect(server.peers).toHaveLength(1);
    expect(source.facts!.description.transport).toBe('mmst');
    expect(notes[0]).toContain('nothing over UDP (0x80004005)');
  });

  it('[MMSP-127] fails if the server has no TCP either', async () => {
    await serve({ connectFunnel: (peer) => peer.send(messages.buildDisconnectedFunnel(0x80004005)) });
    const { error } = await receive({ url: server.url('mmsu') });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('0x80004005') });
  });

  it('[MMSP-134] [MMSP-142] [MMSP-072] asks for the header again if it does not arrive', async () => {
    await serve({
      startPlaying: plays(2),
      readBlock: (peer, { incarnation }) => {
        peer.send(messages.buildReportReadBlock(incarnation));
        if (peer.of('readBlock').length === 2) peer.header(incarnation);
      },
    });
    const { times: received } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(2));
    expect(server.last.types.slice(4, 7)).toEqual(['readBlock', 'cancelReadBlock', 'readBlock']);
    expect(server.last.of('cancelReadBlock')[0]!.incarnation).toBe(server.last.of('readBlock')[0]!.incarnation);
    expect(server.last.of('readBlock')[1]!.incarnation).toBe(2);
  });

  it('[MMSP-143] gives UDP up after four more attempts, and goes on over TCP', async () => {
    await serve({
      startPlaying: plays(2),
      readBlock: (peer, message) => {
        if (peer.udpPort === 0) peer.answer(message);
      },
    });
    const notes: string[] = [];
    const { times: received, error } = await receive({ url: server.url('mmsu'), onNote: (note) => notes.push(note) });
    expect(error).toBeUndefined();
    expect(received).toEqual(times(2));
    expect(server.peers[0]!.of('readBlock')).toHaveLength(5);
    expect(notes[0]).toMatch(/UDP may be blocked.*Going on with MMS over TCP/);
  });

  it('goes on over TCP if no packet arrives', async () => {
    await serve({
      startPlaying: (peer, message) => {
        if (peer.udpPort) peer.answer(message);
        else plays(2)(peer, message);
      },
    });
    const { times: received } = await receive({ url: server.url('mmsu') });
    expect(received).toEqual(times(2));
  });

  it('[MMSP-135] measures the line with two datagrams', async () => {
    await serve({
      startPlaying: plays(1),
      funnelInfo: (peer) => peer.send(messages.buildReportFunnelInfo(PACKET_PAIR.udp, CLIENT_ID)),
      readBlock: (peer, { incarnation }) => {
        peer.send(messages.buildReportReadBlock(incarnation));
        for (const packet of packetPair((size) => Buffer.alloc(size, 7))) peer.data(packet);
        peer.header(incarnation);
      },
    });
    const { source } = await receive({ url: server.url('mmsu'), packetPair: true });
    expect(server.last.of('funnelInfo')[0]!.incarnation).toBe(PACKET_PAIR.udp);
    expect(source.facts!.bandwidth).toBeGreaterThan(100_000);
  });

  it('ignores datagrams of an earlier start, damaged ones, and those of other hosts', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.data(Buffer.from('no data'));
        peer.data(Buffer.alloc(8, 0xff));
        peer.media(media(2, 50), { incarnation: 1 });
        peer.number = 0;
        peer.media(media(3));
        // Ends before its PacketSize.
        peer.data(headerPackets(Buffer.alloc(300), peer.incarnation, 300)[0]!.subarray(0, 100));
        peer.end();
      },
    });
    const { times: received, error } = await receive({ url: server.url('mmsu') });
    expect([received, error]).toEqual([times(3), undefined]);
  });

  it('seeks, and its numbers go on', async () => {
    await serve(
      {
        startPlaying: (peer, message) => {
          peer.answer(message);
          const from = Math.round((message.position ?? 0) * 10);
          peer.media(media(4, from), { location: from, lost: from ? [1] : [] });
          if (from) peer.end();
        },
      },
      FILE,
    );
    const { times: received } = await receive({ url: server.url('mmsu') }, (source, event) => {
      if (event.type === 'packet' && event.packet.sendTime === 200) source.seek(1_000);
    });
    expect(received.slice(-4)).toEqual([1_000, 1_100, 1_200, 1_300]);
    expect(server.resends.flatMap(({ numbers }) => numbers)).toContain(5);
  });
});

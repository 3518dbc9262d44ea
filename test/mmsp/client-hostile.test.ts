import { newMessage, SERVER_MID } from '../../src/mmsp/messages/base.js';
import { buildData } from '../../src/mmsp/messages/data.js';
import { wrapMessages } from '../../src/mmsp/messages/frame.js';
import * as messages from '../../src/mmsp/messages/server.js';
import { until } from '../support/until.js';
import {
  type Answers,
  FILE_ID,
  media,
  receive,
  ScriptedServer,
  type ServerFacts,
  strangeMessage,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

async function serve(answers: Answers = {}, facts: ServerFacts = {}): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(answers, facts);
  return server;
}

const SOON = { connect: 10_000, answer: 800, data: 500, side: 300 };

function playTwo(peer: ScriptedServer['last'], message: Parameters<typeof peer.answer>[0]): void {
  peer.answer(message);
  peer.media(media(2));
}

/** A message of which a field is overwritten. */
function damaged(message: Buffer, at: number, value: number): Buffer {
  const bytes = Buffer.from(message);
  bytes.writeUInt32LE(value, at);
  return bytes;
}

const connected = messages.buildConnectedEx({ version: '9.0', scheme: 'NTLM' }, false);
const opened = messages.buildReportOpenFile(9, FILE_ID, {
  attributes: 0,
  duration: 1,
  packetSize: 400,
  packetCount: 1,
  bitRate: 1,
  headerSize: 500,
});

describe('a hostile MMSP server', () => {
  it.each<[string, Answers]>([
    [
      '[MMSP-185] a text that reaches past its message',
      { connect: (peer) => peer.send(damaged(connected, 48, 0x7fffffff)) },
    ],
    ['a chunkLen that reaches past its packet', { connect: (peer) => peer.send(damaged(connected, 0, 0x10000000)) }],
    ['a chunkLen of 0', { connect: (peer) => peer.send(damaged(connected, 0, 0)) }],
    [
      'a token that reaches past its message',
      {
        openFile: (peer) => peer.send(damaged(messages.buildSecurityChallenge(9, 1, Buffer.alloc(4)), 16, 0xfffffff0)),
      },
    ],
    [
      'a location that reaches past its message',
      { openFile: (peer) => peer.send(damaged(messages.buildRedirect('mms://h/', false), 12, 0xffff0001)) },
    ],
    ['a description that is cut', { openFile: (peer) => peer.send(newMessage(SERVER_MID.openFile, 32)) }],
    ['a file before it was asked for', { connect: (peer) => peer.send(opened) }],
    ['ReportConnectedEX twice, after the file', { readBlock: (peer) => peer.send(connected) }],
    ['a redirect while it plays', { startPlaying: (peer) => peer.send(messages.buildRedirect('mms://h/', false)) }],
    [
      'a packet with a length of 4 GB',
      { connect: (peer) => peer.socket.write(damaged(wrapMessages(connected, 0, 0), 8, 0xffffffff)) },
    ],
    ['a Data packet of 3 bytes', { connect: (peer) => peer.socket.write(Buffer.alloc(64, 1).fill(0, 6, 8)) }],
    [
      'a web page',
      { connect: (peer) => peer.socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'.padEnd(500)) },
    ],
  ])('is left for %s', async (_, answers) => {
    await serve(answers);
    const { error } = await receive({ url: server.url(), timeouts: SOON });
    expect(error).toMatchObject({ code: expect.stringMatching(/^WM_(?:PROTOCOL|UNREACHABLE)$/) });
    await until('the end of the connection', () => server.last.closed);
  });

  it.each<[string, Answers]>([
    ['after the connection', { connect: () => {} }],
    ['after its first answer', { funnelInfo: () => {} }],
    ['after the file was asked for', { openFile: () => {} }],
    ['before its header', { readBlock: () => {} }],
    ['before it plays', { startPlaying: () => {} }],
    ['after the first packets', { startPlaying: (peer, message) => playTwo(peer, message) }],
  ])('is left if it is silent %s', async (_, answers) => {
    await serve(answers);
    const { error } = await receive({ url: server.url(), timeouts: SOON });
    expect(error).toMatchObject({ code: expect.stringMatching(/^WM_(?:UNREACHABLE|SERVER_GONE)$/) });
    await until('the end of the connection', () => server.last.closed);
  });

  it('is left if it does not stop', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(1));
      },
      stopPlaying: () => {},
    });
    const { error } = await receive({ url: server.url(), timeouts: SOON }, (source, event) => {
      if (event.type === 'packet') void source.close();
    });
    expect(error).toBeUndefined();
    await until('the end of the connection', () => server.last.closed);
  });

  it('is left for a header without end', async () => {
    await serve({
      readBlock: (peer, { incarnation }) => {
        peer.send(messages.buildReportReadBlock(incarnation));
        const payload = Buffer.alloc(60_000);
        let location = 0;
        const flood = () => {
          if (peer.socket.destroyed) return;
          peer.socket.write(buildData({ location: location++, incarnation, flags: 4 }, payload), flood);
        };
        flood();
      },
    });
    const { error } = await receive({ url: server.url() });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('ASF header') });
  });

  it('is left if it asks and does not read', async () => {
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.socket.pause();
        const pings = wrapMessages(Buffer.concat(Array(2_000).fill(messages.buildPing())), 0, 0);
        const flood = () => void (peer.socket.destroyed || peer.socket.write(pings, flood));
        flood();
      },
    });
    const { error } = await receive({ url: server.url(), timeouts: { ...SOON, answer: 25_000, data: 25_000 } });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('does not read') });
  });

  it('is slowed down if it sends faster than the consumer takes', async () => {
    let sent = 0;
    await serve({
      startPlaying: (peer, message) => {
        peer.answer(message);
        const packets = media(100);
        const flood = () => {
          if (peer.socket.destroyed || sent > 200_000) return;
          peer.media(packets, { location: sent });
          sent += packets.length;
          if (peer.socket.writableNeedDrain) peer.socket.once('drain', flood);
          else setImmediate(flood);
        };
        flood();
      },
    });
    let rest = () => {};
    const isTaken = new Promise<void>((resolve) => (rest = resolve));
    const { error } = await receive({ url: server.url(), timeouts: SOON }, (source, event) => {
      if (event.type !== 'packet') return;
      void source.close();
      rest();
    });
    await isTaken;
    expect(error).toBeUndefined();
  });

  it.each<[string, (peer: ScriptedServer['last']) => void]>([
    ['messages of an unknown kind', (peer) => peer.send(strangeMessage())],
    ['bytes after the last message', (peer) => peer.socket.write(wrapMessages(Buffer.alloc(8 - 4), 9, 0))],
    ['an answer to nothing', (peer) => peer.send(messages.buildReportStreamSwitch(), messages.buildReportReadBlock(3))],
    [
      'an end of an earlier start before it plays',
      (peer) => peer.data(buildData({ location: 0, incarnation: 1, flags: 4 }, Buffer.alloc(9))),
    ],
  ])('is tolerated with %s', async (_, oddity) => {
    await serve({
      startPlaying: (peer, message) => {
        oddity(peer);
        peer.answer(message);
        oddity(peer);
        peer.media(media(2));
        peer.end();
      },
    });
    const { packets, error } = await receive({ url: server.url() });
    expect([packets.length, error]).toEqual([2, undefined]);
  });
});

import { ObjectAssembler } from '../../src/wmsp/client/packets.js';
import {
  COUGAR,
  dataPackets,
  described,
  HEADER,
  head,
  LIVE_HEADER,
  media,
  packets,
  playing,
  receive,
  ScriptedServer,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);
const DATA = Buffer.concat([dataPackets(SENT), packets.E(0)]);

/** A header in pieces of that many bytes; `flags` returns the AFFlags of the piece at an index. */
function pieces(header: Buffer, size: number, flags: (index: number, isLast: boolean) => number): Buffer {
  const all: Buffer[] = [];
  for (let at = 0; at < header.length; at += size) {
    all.push(packets.H(header.subarray(at, at + size), flags(at / size, at + size >= header.length), at / size));
  }
  return Buffer.concat(all);
}

const FORMS: ReadonlyArray<readonly [name: string, header: (bytes: Buffer) => Buffer]> = [
  ['one piece, AFFlags 0', (bytes) => packets.H(bytes, 0)],
  ['one piece that is marked only as the first', (bytes) => packets.H(bytes, 4)],
  ['one piece that is marked only as the last', (bytes) => packets.H(bytes, 8)],
  ['several pieces, AFFlags 0', (bytes) => pieces(bytes, 300, () => 0)],
  ['several pieces, each marked as first and last', (bytes) => pieces(bytes, 300, () => 12)],
  ['several pieces, the last not marked', (bytes) => pieces(bytes, 300, (index) => (index === 0 ? 4 : 0))],
  ['several pieces, the first not marked', (bytes) => pieces(bytes, 300, (_, isLast) => (isLast ? 8 : 0))],
];

describe('AFFlags of $H that servers get wrong', () => {
  it.each(FORMS)('a file is received with %s', async (_, form) => {
    server = await ScriptedServer.listen((request, reply) => {
      if (request.type === 'Describe') reply.send(described(form(HEADER.bytes), COUGAR)).end();
      else if (request.type === 'Play') reply.send(playing(COUGAR), form(HEADER.bytes), DATA).end();
      else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
    });
    const { shape, error, client } = await receive({ url: server.url() });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
    expect(client.description!.header.bytes.equals(HEADER.bytes)).toBe(true);
  });

  it.each(FORMS)('a live server whose Describe continues with $D is understood with %s', async (_, form) => {
    server = await ScriptedServer.listen((request, reply) => {
      if (request.type === 'Describe') {
        reply.send(head('HTTP/1.0 200 OK', COUGAR), form(LIVE_HEADER.bytes), dataPackets(SENT));
      } else if (request.type === 'Play') reply.send(playing(COUGAR), form(LIVE_HEADER.bytes), DATA).end();
      else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
    });
    const { shape, error } = await receive({ url: server.url() });
    expect([shape, error]).toEqual(['H 20 E0', undefined]);
  });

  it('[WMSP-186] a strict client waits for the piece that is marked as the last', async () => {
    server = await ScriptedServer.listen((_, reply) => reply.send(described(packets.H(HEADER.bytes, 0), COUGAR)).end());
    const { error } = await receive({ url: server.url(), tolerant: false });
    expect(error).toMatchObject({ code: 'WM_PROTOCOL', message: /ends before an ASF header/ });
  });

  it('correct flags are trusted, whatever size the header claims', () => {
    const short = Buffer.from(HEADER.bytes);
    short.writeBigUInt64LE(100n, 16);
    const assembler = new ObjectAssembler('$H', { start: short.subarray(0, 16), size: () => 150 });
    const piece = (afFlags: number, payload: Buffer) => ({ id: 0x48, reason: 0, location: 0, afFlags, payload });
    expect(assembler.add(piece(4, short.subarray(0, 400)))).toBeUndefined();
    expect(assembler.add(piece(8, short.subarray(400)))!.equals(short)).toBe(true);
  });
});

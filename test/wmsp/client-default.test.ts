import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  described,
  ENTRY,
  fileHeader,
  HEADER,
  head,
  media,
  packets,
  playing,
  type Received,
  receive,
  ScriptedServer,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const SENT = media(20);
const DATA = dataPackets(SENT);
const FIRST = dataPackets(SENT.slice(0, 10));
const REST = dataPackets(SENT.slice(10), 10);
const H = packets.H(HEADER.bytes);
/** Another entry, with a header of its own. */
const OTHER = packets.H(fileHeader(10, { title: 'Another' }).bytes);
const AGAIN = dataPackets(SENT.slice(0, 10));
/** A packet of a type that is in no specification. */
const UNKNOWN = Buffer.from('24580400616c6c21', 'hex');

interface Answers {
  /** The fields of all responses; default: those of Windows Media Services. */
  readonly fields?: readonly string[];
  readonly describe?: Buffer;
  readonly playFields?: readonly string[];
  readonly play: readonly Buffer[];
}

/** The results of clients with a server: by default, and strict. */
async function both({ fields = [COUGAR, CLIENT_ID], describe = ENTRY, playFields = [], play }: Answers) {
  const outcome = async (options: { tolerant?: boolean }): Promise<readonly [string, string | undefined]> => {
    server = await ScriptedServer.listen((request, reply) => {
      if (request.type === 'Describe') reply.send(described(describe, ...fields)).end();
      else if (request.type === 'Play') reply.send(playing(...fields, ...playFields), ...play).end();
      else reply.send(head('HTTP/1.0 200 OK', ...fields, 'Content-Length: 0')).end();
    });
    const { shape, error }: Received = await receive({ url: server.url(), ...options });
    await server.close();
    return [shape, (error as { code?: string } | undefined)?.code];
  };
  return { byDefault: await outcome({}), strict: await outcome({ tolerant: false }) };
}

const WHOLE = ['H 20 E0', undefined] as const;

describe('servers that violate the specification, by default and with --strict', () => {
  it.each([
    ['no Server header', []],
    ['one of another product', ['Server: nginx/1.2']],
    ['a blank instead of its slash', ['Server: Cougar 4.1.0.3921']],
  ])('[WMSP-174] %s: played by default, rejected by a strict client', async (_, fields) => {
    const { byDefault, strict } = await both({
      fields: [...fields, CLIENT_ID],
      play: [H, DATA, packets.E(0)],
      describe: H,
    });
    expect(byDefault).toEqual(WHOLE);
    expect(strict).toEqual(['', 'WM_PROTOCOL']);
  });

  it.each([
    ['the header without metadata, from a server of 9.0', COUGAR, H],
    ['metadata from a server of 4.1', 'Server: Cougar/4.1.0.3920', ENTRY],
  ])('[WMSP-184] %s: accepted by default, an error for a strict client', async (_, name, entry) => {
    const { byDefault, strict } = await both({
      fields: [name, CLIENT_ID],
      describe: entry,
      play: [entry, DATA, packets.E(0)],
    });
    expect(byDefault).toEqual(WHOLE);
    expect(strict).toEqual(['', 'WM_PROTOCOL']);
  });

  it('[WMSP-186] another header in mid-stream: another entry by default, an error for a strict client', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, OTHER, AGAIN, packets.E(0)] });
    expect(byDefault).toEqual(['H 10 E1 H 10 E0', undefined]);
    expect(strict).toEqual(['H 10 E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-134] a packet of an unknown type: ignored by default, an error for a strict client', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, UNKNOWN, REST, packets.E(0)] });
    expect(byDefault).toEqual(WHOLE);
    expect(strict).toEqual(['H 10 E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-189] data where the response promised a $C: played by default, an error for a strict client', async () => {
    const playFields = ['Pragma: expect-new-header=1'];
    const { byDefault, strict } = await both({ playFields, play: [ENTRY, DATA, packets.E(0)] });
    expect(byDefault).toEqual(WHOLE);
    expect(strict).toEqual(['H E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-189] a $C that the response did not promise: another entry by default, an error for a strict client', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, packets.C(0), ENTRY, DATA, packets.E(0)] });
    expect(byDefault).toEqual(['H E1 H 20 E0', undefined]);
    expect(strict).toEqual(['H E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-192] another header after $E(1) without a $C: another entry by default, an error for a strict client', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, packets.E(1), OTHER, AGAIN, packets.E(0)] });
    expect(byDefault).toEqual(['H 10 E1 H 10 E0', undefined]);
    expect(strict).toEqual(['H 10 E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-192] the same header after $E(1) without a $C is another entry by default, too', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, packets.E(1), ENTRY, AGAIN, packets.E(0)] });
    expect(byDefault).toEqual(['H 10 E1 H 10 E0', undefined]);
    expect(strict).toEqual(['H 10 E0', 'WM_PROTOCOL']);
  });

  it('[WMSP-192] data after $E(1): the entry continues by default, an error for a strict client', async () => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, packets.E(1), REST, packets.E(0)] });
    expect(byDefault).toEqual(WHOLE);
    expect(strict).toEqual(['H 10 E0', 'WM_PROTOCOL']);
  });

  it.each<[string, Buffer[], string]>([
    ['$E with an error', [packets.E(0xc00d001a)], 'WM_SERVER_GONE'],
    ['$C with an error', [packets.C(0x80004005)], 'WM_SERVER_GONE'],
    ['an end without $E', [], 'WM_SERVER_GONE'],
    ['bytes that are not a packet', [Buffer.from('nonsense')], 'WM_PROTOCOL'],
  ])('[WMSP-134] %s: reported by both, and everything after it is ignored', async (_, end, code) => {
    const { byDefault, strict } = await both({ play: [ENTRY, FIRST, ...end, ...(end.length > 0 ? [REST] : [])] });
    expect(byDefault).toEqual(['H 10 E0', code]);
    expect(strict).toEqual(['H 10 E0', code]);
  });
});

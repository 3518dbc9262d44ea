import {
  CLIENT_ID,
  dataPackets,
  described,
  fileHeader,
  HEADER,
  head,
  media,
  packets,
  playing,
  receive,
  ScriptedServer,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server.close());

/** Tokens that only servers from 5.0, or from 9.0, know. */
const LATER =
  /^(?:client-lag|xPlayNextEntry|xStopStrm|xKeepAliveInPause|Accel|Burst|LinkBW|Speed|playlist-gen-id|pipeline|version11-enabled)\b/i;

/** Has a client play two entries of such a server; returns its requests. */
async function requestsTo(name: string, ...more: string[]) {
  const fields = [name, CLIENT_ID, ...more];
  const data = dataPackets(media(10));
  server = await ScriptedServer.listen((request, reply) => {
    if (request.type === 'Describe') reply.send(described(packets.H(HEADER.bytes), ...fields)).end();
    else if (request.type === 'Play') {
      const other = packets.H(fileHeader(10, { title: 'Another' }).bytes);
      const entries = [packets.H(HEADER.bytes), data, packets.C(), other, data, packets.E(0)];
      reply.send(playing(...fields), ...entries).end();
    } else reply.send(head('HTTP/1.0 200 OK', ...fields, 'Content-Length: 0')).end();
  });
  const { shape, error } = await receive({ url: server.url() });
  expect([shape, error]).toEqual(['H 10 E1 H 10 E0', undefined]);
  return server.requests;
}

async function tokensFor(name: string) {
  return (await requestsTo(name)).flatMap(({ pragma }) => pragma).filter((token) => LATER.test(token));
}

/** Tokens and headers that came with 9.0 (MS-WMSP 2.2.1). */
const FROM_9 = [
  ...['playlist-seek-id', 'pl-offset', 'packet-pair-experiment', 'pipeline-experiment'],
  ...['pipeline-request', 'pipeline-result', 'xPlayNextEntry'],
];
const HEADERS_FROM_9 = ['Supported', 'X-StartupProfile'];
/** Tokens that only responses have. */
const OF_RESPONSES = ['features', 'timeout', 'xResetStrm', 'broadcast-id', 'template', 'packet-pair-result'];

const nameOf = (token: string) => token.split('=')[0]!.trim();

describe('a server known to be below 5.0', () => {
  it('[WMSP-023] [WMSP-056] gets no newer tokens, from the second request on', async () => {
    expect(await tokensFor('Server: Cougar/4.1.0.3920')).toEqual([]);
  });
});

describe('the requests of a client', () => {
  it.each(['Cougar/4.1.0.3920', 'Cougar/5.0.2195.1'])(
    '[WMSP-274] have nothing that came with 9.0 for a server that is known to be below: %s',
    async (name) => {
      const [, ...known] = await requestsTo(`Server: ${name}`, 'Pragma: playlist-gen-id=7');
      expect(known.map(({ type }) => type)).toContain('Play');
      for (const { pragma, fields } of known) {
        expect(pragma.map(nameOf).filter((token) => FROM_9.includes(token))).toEqual([]);
        expect(fields.map(([field]) => field).filter((field) => HEADERS_FROM_9.includes(field))).toEqual([]);
      }
    },
  );

  it.each(['Cougar/4.1.0.3920', 'Cougar/5.0.2195.1', 'Cougar/9.6.7600.16385', 'Rex/12.0.7600.16385'])(
    '[WMSP-271] have nothing that is defined only for responses, and no playlist-gen-id of its own: %s',
    async (name) => {
      for (const { pragma, fields } of await requestsTo(`Server: ${name}`)) {
        const names = pragma.map(nameOf);
        expect(names.filter((token) => OF_RESPONSES.includes(token))).toEqual([]);
        expect(names.filter((token) => token === 'playlist-gen-id')).toEqual([]);
        expect(fields.map(([field]) => field)).not.toContain('Server');
      }
      await server.close();
      const told = await requestsTo(`Server: ${name}`, 'Pragma: playlist-gen-id=7');
      const ids = told.flatMap(({ pragma }) => pragma).filter((token) => nameOf(token) === 'playlist-gen-id');
      expect(new Set(ids)).toEqual(new Set(name.startsWith('Cougar/4') ? [] : ['playlist-gen-id=7']));
    },
  );
});

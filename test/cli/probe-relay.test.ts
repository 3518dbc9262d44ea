import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { probeCommand } from '../../src/cli/probe.js';
import { relayCommand } from '../../src/cli/relay.js';
import { ServerStation } from '../server/station.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
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
  ordinary,
  packets,
  playing,
  receive,
  type Script,
  ScriptedServer,
} from '../wmsp/client-support.js';
import { newFolder, readBack, removeFolders, runCommand } from './run.js';

const SENT = media(20);
let server: ScriptedServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(removeFolders);

/** For a server that can send faster than real time. */
function fast(script: Script): Script {
  const description = described(ENTRY, COUGAR, CLIENT_ID, 'Supported: com.microsoft.wm.fastcache');
  return (request, reply) => {
    if (request.type === 'Describe') reply.send(description).end();
    else script(request, reply);
  };
}

async function serve(): Promise<ScriptedServer> {
  server = await ScriptedServer.listen(
    fast(ordinary((reply) => reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT), packets.E(0)).end())),
  );
  return server;
}

function asfFile(): string {
  const path = join(newFolder(), 'in.asf');
  writeFileSync(path, Buffer.concat([HEADER.bytes, ...SENT]));
  return path;
}

describe('wmcast probe', () => {
  it('describes a URL for scripts', async () => {
    const supported = 'Supported: com.microsoft.wm.predstrm, com.microsoft.wm.fastcache';
    const list = '8,language,31,0,,5,title,31,5,Title\r\n';
    const metadata = `playlist-gen-id=7, broadcast-id=0, features="seekable,playlist"\0${list}`;
    const body = Buffer.concat([packets.M(metadata), packets.H(fileHeader(20, { title: 'Inside' }).bytes)]);
    server = await ScriptedServer.listen((_, reply) =>
      reply
        .send(described(body, COUGAR, CLIENT_ID, supported, 'Cache-Control: no-cache, x-wms-event-subscription="a,b"'))
        .end(),
    );
    const { events, error } = await runCommand(probeCommand(), server.url(), '--json');
    expect(error).toBeUndefined();
    expect(events).toEqual([
      expect.objectContaining({
        event: 'probe',
        url: server.url(),
        transport: 'wmsp',
        server: 'Cougar/9.6.7600.16385',
        serverFeatures: ['predstrm', 'fastcache'],
        features: ['seekable', 'playlist'],
        cacheControl: ['no-cache', 'x-wms-event-subscription="a,b"'],
        playlistEntry: 7,
        live: false,
        duration: 2,
        packets: 20,
        packetSize: 400,
        bitsPerSecond: 364_000,
        metadata: { title: 'Title' },
      }),
    ]);
    expect(server.requests.map(({ type }) => type)).toEqual(['Describe']);
  });

  it('describes it for people, without characters that affect the terminal', async () => {
    server = await ScriptedServer.listen((_, reply) =>
      reply.send(described(packets.H(fileHeader(20, { title: 'A\u001b[2Jb' }).bytes), COUGAR)).end(),
    );
    const { output } = await runCommand(probeCommand(), server.url(), '--streams', '2');
    expect(output).toMatch(/^Server +Cougar\/9\.6\.7600\.16385$/m);
    expect(output).toMatch(/^Stream 1 +video WMV2, 640x360, 300 kbit\/s, not taken$/m);
    expect(output).toMatch(/^Bit rate +64\.0 kbit\/s$/m);
    expect(output).toMatch(/^title +A\?\[2Jb$/m);
    // All values begin in one column.
    expect(
      new Set(
        output
          .trim()
          .split('\n')
          .map((line) => /^.*? {2,}/.exec(line)?.[0].length),
      ).size,
    ).toBe(1);
  });

  it('describes files too', async () => {
    const path = asfFile();
    const { events } = await runCommand(probeCommand(), path, '--json');
    expect(events).toMatchObject([{ file: path, transport: 'file', live: false, packets: 20, streams: [{}, {}] }]);
    const { output } = await runCommand(probeCommand(), path);
    expect(output).toMatch(/^File +\/.*in\.asf\nKind +on demand\n/);
  });

  it.each([
    [
      'half of it is missing',
      [0, 10],
      20,
      { packets: 10, missingPackets: 10, notes: [/last 10 of 20 packets \(50 %\)/] },
    ],
    [
      'its header has the sizes of a live stream',
      [0, 20],
      0,
      { packets: 20, live: false, notes: [/gives a wrong length/] },
    ],
    ['the space for half of it was reserved', [0, 10, -10], 20, { packets: 10, missingPackets: 10 }],
    ['it is complete', [0, 20], 20, { packets: 20, missingPackets: 0, notes: [] }],
  ] as const)('reports what a server measures of a file: %s', async (_name, [from, to, zeros = 0], count, expected) => {
    const path = join(newFolder(), 'odd.asf');
    const header = count === 0 ? testHeader() : fileHeader(count);
    const filler = Buffer.alloc(-zeros * header.packetSize);
    writeFileSync(path, Buffer.concat([header.bytes, ...SENT.slice(from, to), filler]));
    const { events } = await runCommand(probeCommand(), path, '--json');
    const [found] = events as unknown as Array<{ notes: string[]; duration: number }>;
    const { notes = [], ...facts } = { notes: undefined, ...expected };
    expect(found).toMatchObject(facts);
    for (const note of notes) expect(found!.notes.join()).toMatch(note);
    if ('notes' in expected) expect(found!.notes).toHaveLength(notes.length);
    expect(found!.duration).toBeGreaterThan(0);
  });

  it.each([
    ['/nowhere/x.asf', 'WM_NO_INPUT', 66],
    ['package.json', 'WM_ASF_MALFORMED', 65],
    ['http://127.0.0.1:1/', 'WM_UNREACHABLE', 69],
    ['gopher://h/', 'WM_USAGE', 2],
  ])('%s is %s', async (from, code, exitCode) => {
    expect((await runCommand(probeCommand(), from)).error).toMatchObject({ code, exitCode });
  });

  it('exits with 77 if access is denied, and with 76 if the server is of another kind', async () => {
    server = await ScriptedServer.listen(({ line }, reply) =>
      reply.send(head(line.includes('secret') ? 'HTTP/1.0 401 No' : 'HTTP/1.0 200 OK'), 'hello').end(),
    );
    expect((await runCommand(probeCommand(), server.url('/secret'))).error).toMatchObject({ exitCode: 77 });
    expect((await runCommand(probeCommand(), server.url('/open'))).error).toMatchObject({ exitCode: 76 });
  });
});

describe('wmcast relay', () => {
  it('records a stream from a server to a file', async () => {
    const { url } = await serve().then((each) => ({ url: each.url() }));
    const file = join(newFolder(), 'out.asf');
    const { events, error } = await runCommand(relayCommand(), url, file, '--json');
    expect(error).toBeUndefined();
    expect(events.map(({ event }) => event)).toEqual(['ready', 'done']);
    expect(events[1]).toMatchObject({ packets: 20, mediaSeconds: 1.9 });
    expect(await readBack(file)).toEqual({ shape: 'H 20 E0', warnings: [], live: false });
    expect(server!.of('Play')[0]!.text).toContain('Speed=100.000');
  });

  it('carries a file to standard output', async () => {
    const { output, error } = await runCommand(relayCommand(), asfFile(), '-');
    expect(error).toBeUndefined();
    expect(Buffer.from(output, 'latin1').subarray(-400).equals(SENT.at(-1)!)).toBe(true);
  });

  it('pushes a received stream as live', async () => {
    const station = await ServerStation.open();
    const from = await ScriptedServer.listen(
      fast(
        ordinary((reply) => {
          reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT));
          void player.then(() => reply.send(dataPackets(media(10, 20), 20), packets.E(0)).end());
        }),
      ),
    );
    let release = () => {};
    const player = new Promise<void>((resolve) => {
      release = resolve;
    });
    try {
      const to = `http://127.0.0.1:${station.port}/relayed`;
      const running = runCommand(relayCommand(), from.url(), to, '--json');
      await until('the point', () => [...station.server.points].some(({ path }) => path === '/relayed'));
      const playing = receive({ url: to, log: false }, (event) => {
        if (event.type === 'packet') release();
      });
      const { error, events } = await running;
      expect(error).toBeUndefined();
      expect(events.at(-1)).toMatchObject({ event: 'done', packets: 30 });
      const { events: received, error: playError } = await playing;
      expect(playError).toBeUndefined();
      expect(received[0]).toMatchObject({ type: 'header', header: { broadcast: true } });
      const last = received.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : [])).at(-1);
      expect(last).toBe(2900);
      // A file of that server at five times its speed is not a live stream.
      expect(from.of('Play')[0]!.text).not.toContain('Speed=');
    } finally {
      await from.close();
      await station.close();
    }
  });

  it('rejects what it cannot do', async () => {
    const file = asfFile();
    for (const [from, to] of [
      [file, 'gopher://h/x'],
      ['gopher://h/x', 'out.asf'],
      [file, 'msb://10.0.0.1:5000'],
      [file, 'msb://239.1.2.3'],
    ] as const) {
      expect((await runCommand(relayCommand(), from, to)).error).toMatchObject({ code: 'WM_USAGE' });
    }
    expect((await runCommand(relayCommand(), file, '-', '--json')).error).toMatchObject({ code: 'WM_USAGE' });
    expect((await runCommand(relayCommand(), file, 'http://127.0.0.1:1/x')).error).toMatchObject({
      code: 'WM_UNREACHABLE',
    });
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { probeCommand } from '../../src/cli/probe.js';
import { pullCommand } from '../../src/cli/pull.js';
import { pushCommand } from '../../src/cli/push.js';
import { relayCommand } from '../../src/cli/relay.js';
import type { AsfEvent } from '../../src/media/events.js';
import { parseConfig } from '../../src/server/config-file.js';
import { openSourceUrl } from '../../src/sources/table.js';
import { newFolder, readBack, removeFolders, runCommand } from '../cli/run.js';
import { ServerStation } from '../server/station.js';
import {
  CLIENT_ID,
  COUGAR,
  dataPackets,
  ENTRY,
  head,
  media,
  ordinary,
  packets,
  playing,
  QUICK,
  type Reply,
  ScriptedServer,
  type SeenRequest,
  shapeOf,
} from '../wmsp/client-support.js';

const SENT = media(20);
let server: ScriptedServer;

afterEach(() => server?.close());
afterAll(removeFolders);

/** Serves a stream of 20 packets at /intro and /station, and the test's response at every other path. */
async function serve(other: (request: SeenRequest, reply: Reply) => void): Promise<void> {
  const stream = ordinary((reply) =>
    reply.send(playing(COUGAR, CLIENT_ID), ENTRY, dataPackets(SENT), packets.E(0)).end(),
  );
  server = await ScriptedServer.listen((request, reply) => {
    if (/\/(?:intro|station)[ ?]/.test(request.line)) stream(request, reply);
    else other(request, reply);
  });
}

/** Receives everything that a URL leads to. */
async function follow(path: string, options = {}): Promise<string> {
  const events: AsfEvent[] = [];
  for await (const event of openSourceUrl(server.url(path), { ...QUICK, ...options })) events.push(event);
  return shapeOf(events);
}

const url = (path: string) => `mmsh://127.0.0.1:${server.port}${path}`;
const asx = () =>
  `<asx><entry><ref href="${url('/intro')}"/></entry><entry><ref href="${url('/station')}"/></entry></asx>`;
const BOTH = 'H 20 E1 H 20 E0';
const PHP = 'HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Type: text/html';

describe('an announcement is followed, wherever and in whatever form it is found:', () => {
  const reply = (body: () => string | Buffer, ...fields: string[]) =>
    serve((_, answer) => answer.send(head(PHP, ...fields), body()).end());

  it.each(['/list.asx', '/list.php?x=1', '/', '/list.wmv', '/list.m3u'])('%s', async (path) => {
    await reply(asx);
    expect(await follow(path)).toBe(BOTH);
  });

  it.each([
    ['UTF-16', () => Buffer.from(`\ufeff${asx()}`, 'utf16le')],
    ['#EXTM3U', () => `#EXTM3U\r\n#EXTINF:-1,x\r\n${url('/intro')}\r\n${url('/station')}\r\n`],
    ['.pls', () => `[playlist]\nFile1=${url('/intro')}\nFile2=${url('/station')}\n`],
    ['a list of URLs', () => `${url('/intro')}\n${url('/station')}\n`],
    ['a DOCTYPE and a PHP warning', () => `<!DOCTYPE asx>\n<b>Warning</b>: x in <b>a.php</b> on line 3<br />${asx()}`],
    [
      'relative references',
      () => '<asx><entry><ref href="intro"/></entry><entry><ref href="../station"/></entry></asx>',
    ],
  ])('%s', async (_, body) => {
    await reply(body);
    expect(await follow('/list.php')).toBe(BOTH);
  });

  it.each([
    ['gzip', gzipSync, 'Content-Encoding: gzip'],
    ['unlabelled gzip', gzipSync, 'X-Nothing: x'],
    ['deflate', deflateSync, 'Content-Encoding: deflate'],
    ['br', brotliCompressSync, 'Content-Encoding: br'],
  ] as const)('%s, although not requested', async (_, compress, coding) => {
    await reply(() => compress(Buffer.from(asx())), coding);
    expect(await follow('/list.php')).toBe(BOTH);
    expect(server.requests[0]!.field('Accept-Encoding')).toBe('identity');
  });

  it('after redirects, through a proxy, and for a strict client', async () => {
    await serve((request, answer) => {
      if (request.line.includes('/moved')) answer.send(head('HTTP/1.1 302 Found', 'Location: /there.php')).end();
      else answer.send(head(PHP), asx()).end();
    });
    expect(await follow('/moved.asx')).toBe(BOTH);
    expect(await follow('/list.asx', { proxy: server.url('') })).toBe(BOTH);
    expect(server.requests.at(-1)!.line).toMatch(/^POST http:/);
    expect(await follow('/list.php', { tolerant: false })).toBe(BOTH);
  });

  it('a redirect leads to every protocol of the table', async () => {
    const targets = [
      url('/intro'),
      `msbd://127.0.0.1:${server.port}/x`,
      'rtsp://127.0.0.1:1/x',
      'mmst://127.0.0.1:1/x',
      'gopher://h/',
      'file:///etc/passwd',
    ];
    for (const target of targets) {
      await server.close();
      await serve((_, answer) => answer.send(head('HTTP/1.1 302 Found', COUGAR, `Location: ${target}`)).end());
      const result = await follow('/moved.asx').catch((error: unknown) => error);
      if (/^(?:mmsh|mmst|rtsp):/.test(target)) expect(result).toMatchObject({ code: 'WM_UNREACHABLE' });
      else if (target.startsWith('msbd:')) expect(result).toMatchObject({ message: expect.stringMatching(/^msbd:/) });
      else expect(result).toMatchObject({ code: 'WM_PROTOCOL', message: expect.stringContaining('cannot follow') });
    }
  });

  it.each([
    ['declares entities', '<!DOCTYPE a [<!ENTITY b "c">]><asx></asx>'],
    ['is of HLS', '#EXTM3U\n#EXT-X-VERSION:3\na.ts'],
    ['is endless', `<asx>${' '.repeat(300_000)}`],
  ])('one that %s is reported as an announcement that cannot be read', async (_, body) => {
    await reply(() => body);
    await expect(follow('/list.php')).rejects.toMatchObject({
      code: 'WM_BAD_INPUT',
      message: expect.stringMatching(/^The announcement at http:.*\/list\.php cannot be read: it /),
    });
  });

  it('but a web page is not one, whatever it links to', async () => {
    await reply(() => '<!DOCTYPE html><html><body><a href="mms://h/x">play</a></body></html>');
    await expect(follow('/page')).rejects.toMatchObject({ code: 'WM_PROTOCOL', message: /no Windows Media server/ });
  });

  it('one that never ends does not keep a client for ever', async () => {
    let timer: NodeJS.Timeout | undefined;
    await serve((_, answer) => {
      answer.send(head(PHP), 'mms');
      timer = setInterval(() => answer.send('x'), 20);
    });
    const options = { timeouts: { connect: 500, answer: 300, data: 500, side: 100 } };
    await expect(follow('/list.php', options)).rejects.toMatchObject({
      code: expect.stringMatching(/^WM_(?:UNREACH|SERVER)/),
    });
    clearInterval(timer);
  });

  it('the number of references tried is limited, whatever leads to them', async () => {
    const many = '<entry><ref href="again.php"/></entry>'.repeat(1000);
    await reply(() => `<asx>${many}</asx>`);
    await expect(follow('/list.php')).rejects.toMatchObject({ code: 'WM_PROTOCOL' });
    expect(server.requests.length).toBeLessThan(300);
  });
});

describe('the same announcement is followed by', () => {
  beforeEach(() => serve((_, answer) => answer.send(head(PHP), asx()).end()));

  it('pull', async () => {
    const output = join(newFolder(), 'out.asf');
    const { error } = await runCommand(pullCommand(), server.url('/list.php'), '-o', output);
    expect(error).toBeUndefined();
    expect(server.of('Play')).toHaveLength(2);
    expect((await readBack(output)).shape).toContain('H 20');
  });

  it('probe', async () => {
    const { events } = await runCommand(probeCommand(), server.url('/list.php'), '--json');
    expect(events).toMatchObject([{ url: server.url('/intro'), transport: 'wmsp', packets: 20 }]);
  });

  it('wmpush --copy', async () => {
    const station = await ServerStation.open();
    const target = `http://127.0.0.1:${station.port}/live`;
    const { events, error } = await runCommand(
      pushCommand(),
      '--json',
      '--copy',
      '-i',
      server.url('/list.php'),
      target,
    );
    await station.close();
    expect(error).toBeUndefined();
    expect(events.at(-1)).toMatchObject({ event: 'done', packets: 40 });
  });

  it('relay', async () => {
    const output = join(newFolder(), 'out.asf');
    expect((await runCommand(relayCommand(), server.url('/list.php'), output)).error).toBeUndefined();
    expect(server.of('Play')).toHaveLength(2);
  });

  it("a point's source", async () => {
    const { points } = parseConfig(`points: [{ path: /live, source: "${server.url('/list.php')}" }]`, 'x.yaml');
    const station = await ServerStation.open({ points });
    await server.request('Play', 2);
    expect(server.of('Play').map(({ line }) => line.split(' ')[1])).toEqual(['/intro', '/station']);
    await station.close();
  });

  it('an entry of a playlist', async () => {
    const folder = newFolder();
    writeFileSync(
      join(folder, 'all.wsx'),
      `<?wsx version="1.0"?><smil><media src="${server.url('/list.php')}"/></smil>`,
    );
    const station = await ServerStation.open({ content: { folder } });
    const player = await station.peer();
    player.request('GET /all.wsx HTTP/1.0', 'User-Agent: NSPlayer/9.0.0.2833', 'Pragma: xPlayStrm=1');
    await server.request('Play', 2);
    expect(server.of('Play').map(({ line }) => line.split(' ')[1])).toEqual(['/intro', '/station']);
    await station.close();
  });

  it('a file of this host, whatever its name', async () => {
    const folder = newFolder();
    const list = join(folder, 'list.txt');
    writeFileSync(list, asx());
    expect((await runCommand(probeCommand(), list, '--json')).events).toMatchObject([{ url: server.url('/intro') }]);
    expect((await runCommand(relayCommand(), list, join(folder, 'out.asf'))).error).toBeUndefined();
    expect(server.of('Play')).toHaveLength(2);
  });
});

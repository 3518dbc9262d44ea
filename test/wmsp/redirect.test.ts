import { parseHeader } from '../../src/asf/header.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { Content } from './content.js';
import { BOTH_STREAMS, clientIdOf, kindsOf, NEW, OLD, PLAY, Station, tokenOf } from './station.js';

const ELSEWHERE = 'mms://elsewhere.example.com/show.wmv';

let content: Content;
let station: Station;

beforeEach(async () => {
  content = await Content.create();
  station = await Station.open({ content });
  content.redirects.set('/moved.wmv', { redirect: ELSEWHERE, proxy: false });
  content.redirects.set('/proxied.wmv', { redirect: 'http://proxy.example.com:8080/', proxy: true });
});

afterEach(async () => {
  await station.close();
  await content.close();
});

describe('content that is elsewhere', () => {
  it.each(['NSPlayer/7.0', 'NSPlayer/12.0.7680.0', 'NSServer/9.0', 'WMCacheProxy/9.5'])(
    '[WMSP-227] [WMSP-218] is answered to %s with 302 and Location, and the connection closes',
    async (agent) => {
      const peer = await station.peer();
      peer.request('GET /moved.wmv HTTP/1.1', `User-Agent: ${agent}`, 'Connection: keep-alive');
      const response = parseResponse(await peer.untilClosed())!;
      expect(response.status).toBe(302);
      expect(response.field('Location')).toBe(ELSEWHERE);
      expect(response.field('Connection')).toBe('close');
      expect(response.field('Server')).toMatch(/^Cougar\//);
      expect(response.body).toHaveLength(0);
    },
  );

  it('[WMSP-227] is answered with 305 if a proxy is to be asked, whatever the version', async () => {
    for (const agent of [OLD, NEW]) {
      const response = await station.ask('GET /proxied.wmv HTTP/1.1', agent);
      expect(response.status).toBe(305);
      expect(response.field('Location')).toBe('http://proxy.example.com:8080/');
    }
  });

  it('[WMSP-227] ends the session of the client', async () => {
    await content.media('clip.wmv');
    const id = clientIdOf(await station.ask('GET /clip.wmv HTTP/1.1', NEW));
    expect(station.server.sessions).toBe(1);
    await station.ask('GET /moved.wmv HTTP/1.1', NEW, `Pragma: client-id=${id}`);
    expect(station.server.sessions).toBe(0);
    const log = await station.ask(
      'POST /clip.wmv HTTP/1.1',
      NEW,
      `Pragma: client-id=${id}`,
      'Pragma: log-line=1',
      'Content-Length: 0',
    );
    expect(log.status).toBe(400);
  });

  it('[WMSP-227] creates no session', async () => {
    await station.ask('GET /moved.wmv HTTP/1.1', NEW);
    await station.play('GET /moved.wmv HTTP/1.0', NEW, ...PLAY, ...BOTH_STREAMS);
    expect(station.server.sessions).toBe(0);
  });

  it('[WMSP-228] [WMSP-077] is answered with a header with one FILENAME command at the preroll for clients below 7.0', async () => {
    const response = await station.ask('GET /moved.wmv HTTP/1.0', 'User-Agent: NSPlayer/6.4.9.1121');
    expect(response.status).toBe(200);
    expect(response.field('Content-Type')).toBe('application/vnd.ms.wms-hdr.asfv1');
    expect(clientIdOf(response)).toBeGreaterThan(0);
    expect(tokenOf(response, 'features')).toMatch(/^"\w+"$/);
    const packets = wirePackets(response.body);
    expect(packets.map(({ id }) => id)).toEqual(['H']);
    const header = parseHeader(packets[0]!.payload);
    expect(header.preroll).toBe(479);
    const scripts = header.objects.filter(({ type }) => type === 'scriptCommand');
    expect(scripts).toMatchObject([
      { commandTypes: ['FILENAME'], commands: [{ presentationTime: 479, typeIndex: 0, name: ELSEWHERE }] },
    ]);
  });

  it('is answered with 302 to open-source players below 7.0, which know no script commands', async () => {
    const response = await station.ask('GET /moved.wmv HTTP/1.0', 'User-Agent: NSPlayer/4.1.0.3856');
    expect([response.status, response.field('Location')]).toEqual([302, ELSEWHERE]);
  });

  it('is answered with that header and $E to a Play of such a client', async () => {
    const watcher = await station.play('GET /moved.wmv HTTP/1.0', 'User-Agent: NSPlayer/6.4', ...PLAY);
    expect(watcher.response.field('Content-Type')).toBe('application/x-mms-framed');
    expect(kindsOf(await watcher.all())).toEqual(['H', 'E0']);
  });

  it.each([
    [256, 200],
    [257, 500],
  ])('[WMSP-228] with a URL of %i characters is answered with %i below 7.0', async (length, status) => {
    const url = 'http://elsewhere.example.com/'.padEnd(length, 'x');
    content.redirects.set('/long.wmv', { redirect: url, proxy: false });
    expect((await station.ask('GET /long.wmv HTTP/1.0', 'User-Agent: NSPlayer/6.4.9.1121')).status).toBe(status);
    expect((await station.ask('GET /long.wmv HTTP/1.0', NEW)).field('Location')).toBe(url);
  });

  it('is answered without a body to other requests', async () => {
    for (const kind of ['getcontentinfo', 'sendevent']) {
      for (const agent of [OLD, NEW]) {
        const response = await station.ask(
          'POST /moved.wmv HTTP/1.1',
          agent,
          `Content-Type: application/x-wms-${kind}`,
          'Content-Length: 0',
        );
        expect(response.status).toBe(302);
        expect(response.body).toHaveLength(0);
      }
    }
  });
});

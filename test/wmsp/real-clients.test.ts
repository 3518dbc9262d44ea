import { parseHeader } from '../../src/asf/header.js';
import { AUDIO, testHeader, VIDEO } from '../support/stream.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { Station } from './station.js';

let station: Station;

beforeEach(async () => {
  station = await Station.open();
  station.key();
});

afterEach(() => station.close());

describe('real clients, byte for byte', () => {
  // The requests of the programs in Debian 12; {port} is to be filled in.
  const describeOf: Record<string, string[]> = {
    FFmpeg: [
      'GET /live HTTP/1.1',
      'Range: bytes=0-',
      'Icy-MetaData: 1',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Connection: Close',
    ],
    VLC: [
      'GET /live HTTP/1.0',
      'Host: 127.0.0.1',
      'Accept: */*',
      'User-Agent: NSPlayer/7.10.0.3059',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Pragma: xClientGUID={0xbabac001-0x4516-0xaf53-0x2fb230fa9882920c}',
      'Connection: Close',
    ],
    MPlayer: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      'Connection: Close',
    ],
  };
  const playOf: Record<string, string[]> = {
    FFmpeg: [
      'GET /live HTTP/1.1',
      'Range: bytes=0-',
      'Connection: close',
      'Icy-MetaData: 1',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,request-context=2',
      'Pragma: xPlayStrm=1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ',
      'Pragma: no-cache,rate=1.000000,stream-time=0Connection: Close',
    ],
    libmms: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: no-cache,rate=1.000000,request-context=2',
      'Pragma: xPlayStrm=1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: stream-switch-count=2',
      'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 ',
      'Connection: Close',
    ],
    MPlayer: [
      'GET /live HTTP/1.0',
      'Accept: */*',
      'User-Agent: NSPlayer/4.1.0.3856',
      'Host: 127.0.0.1',
      'Pragma: xClientGUID={c77e7400-738a-11d2-9add-0020af0a3278}',
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=2,max-duration=0',
      'Pragma: xPlayStrm=1',
      'Pragma: stream-switch-entry=ffff:2:0 ffff:1:0 ',
      'Pragma: stream-switch-count=2',
      'Connection: Close',
    ],
  };

  it.each(Object.keys(describeOf))('answers the Describe of %s and closes', async (name) => {
    const peer = await station.peer();
    peer.request(...describeOf[name]!);
    const response = parseResponse(await peer.untilClosed())!;
    expect(response.status).toBe(200);
    expect(wirePackets(response.body).map(({ id }) => id)).toEqual(['H']);
  });

  it.each(Object.keys(playOf))('plays to %s', async (name) => {
    const watcher = await station.play(...playOf[name]!);
    expect((await watcher.packetsWith('D', 1)).map(({ id }) => id)).toEqual(['H', 'D']);
  });

  it('get the same header in Describe and Play, of at most 16 KiB', async () => {
    const described = wirePackets((await station.ask(...describeOf['FFmpeg']!)).body)[0]!.payload;
    const played = (await station.play(...playOf['FFmpeg']!)).packets[0]!.payload;
    expect(played.equals(described)).toBe(true);
    expect(played.length).toBeLessThan(16_384);
    expect(parseHeader(played).streams.map(({ number }) => number)).toEqual([VIDEO, AUDIO]);
    expect(played.length).toBeGreaterThanOrEqual(testHeader().bytes.length);
  });
});

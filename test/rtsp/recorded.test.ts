import { type AsfHeader, buildHeader } from '../../src/asf/header.js';
import type { RtspResponse } from '../../src/rtsp/messages/message.js';
import { testHeader } from '../support/stream.js';
import { type Peer, Station } from './station.js';

/*
 * A recorded session of Windows Media Player 9 with Windows Media Services 9, with other addresses: a live stream of sound
 * and script commands by UDP. Everything is compared but times, random numbers and names.
 */

const COMMON = `User-Agent: WMPlayer/9.0.0.4503 guid/00000000-1111-2222-3333-444444444444
Accept-Charset: UTF-8, *;q=0.1
X-Accept-Authentication: Negotiate, NTLM, Digest, Basic
Accept-Language: en-US, *;q=0.1`;

const SUPPORTED =
  'com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.eosmsg, com.microsoft.wm.fastcache, com.microsoft.wm.packetpairssrc';
const CACHE = 'max-age=0, x-wms-stream-type="broadcast", must-revalidate, private, x-wms-proxy-split';
const SET_UP = [
  'Blocksize',
  'Transport',
  'Date',
  'CSeq',
  'Session',
  'Server',
  'Supported',
  'Last-Modified',
  'Cache-Control',
];
const PAIR = 'type: high-entropy-packetpair';
const LOG =
  '<XML><Summary></Summary><c-dns>-</c-dns><c-ip>0.0.0.0</c-ip><c-os>Windows_XP</c-os><c-osversion>5.1.0.2600</c-osversion>' +
  '<date>2026-02-24</date><time>20:29:33</time><c-cpu>Pentium</c-cpu><transport>UDP</transport></XML>';

/** Sound is stream 1, commands are stream 2. */
function recordedHeader(): AsfHeader {
  const made = testHeader({ video: false, commands: 3, preroll: 3_000, packetSize: 2_762, title: 'Static_Title' });
  const objects = made.objects.map((object) => {
    if (object.type === 'contentDescription') {
      return { ...object, author: 'Static_Author', copyright: 'Static_Copyright', description: 'Static_Desc' };
    }
    if (object.type === 'streamProperties') return { ...object, flags: object.flags - 1 };
    if (object.type !== 'streamBitrateProperties') return object;
    const records = [
      { flags: 1, averageBitrate: 65_000 },
      { flags: 2, averageBitrate: 12_000 },
    ];
    return { ...object, records };
  });
  return buildHeader(objects, made.dataObject);
}

let station: Station;
let peer: Peer;
beforeEach(async () => {
  station = await Station.open();
  station.broadcast.write({ type: 'header', header: recordedHeader() });
  peer = await station.connect();
});
afterEach(async () => {
  await station.close();
  expect(station.errors).toEqual([]);
});

/** The names of the fields of a response. */
const names = ({ headers }: RtspResponse) => headers.entries.map(([name]) => name).sort();

async function ask(lines: string, body = ''): Promise<RtspResponse> {
  peer.socket.write(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n${body}`);
  return peer.response();
}

describe('the requests of Windows Media Player 9', () => {
  it('[RTSP-058] are answered as Windows Media Services 9 did', async () => {
    const port = await peer.openUdp();
    const url = peer.url('/live');
    const described = await ask(`DESCRIBE ${url} RTSP/1.0
User-Agent: WMPlayer/9.0.0.4503 guid/00000000-1111-2222-3333-444444444444
Accept: application/sdp
Accept-Charset: UTF-8, *;q=0.1
X-Accept-Authentication: Negotiate, NTLM, Digest, Basic
Accept-Language: en-US, *;q=0.1
CSeq: 1
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.eosmsg, com.microsoft.wm.predstrm`);
    expect(names(described)).toEqual(
      [
        'Content-Type',
        'Vary',
        'X-Playlist-Gen-Id',
        'X-Broadcast-Id',
        'Content-Length',
        'Date',
        'CSeq',
        'Server',
        'Supported',
        'Last-Modified',
        'Cache-Control',
      ].sort(),
    );
    const of = (response: RtspResponse, ...fields: string[]) => fields.map((name) => response.headers.get(name));
    expect(of(described, 'Content-Type', 'Vary', 'CSeq', 'Supported', 'Cache-Control')).toEqual([
      'application/sdp',
      'Accept',
      '1',
      SUPPORTED,
      CACHE,
    ]);
    // Of base64 only the type is compared, of the description list only the names.
    const sdp = described.body
      .toString('utf8')
      .trimEnd()
      .split('\r\n')
      .map((line) => line.replace(/^(o=- )\d{18} \d{18} IN IP4 .*/, '$1').replace(/(base64,).*/, '$1'));
    const list = sdp.find((line) => line.includes('x-wms-contentdesc'))!;
    expect(sdp.filter((line) => line !== list)).toEqual([
      'v=0',
      'o=- ',
      's=Static_Title',
      'c=IN IP4 0.0.0.0',
      'b=AS:77',
      'a=maxps:2762',
      't=0 0',
      `a=control:${url}/`,
      expect.stringMatching(/^a=etag:\{[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$/),
      'a=range:npt=3.000-3.000',
      'a=type:broadcast',
      'a=recvonly',
      'a=pgmpu:data:application/vnd.ms.wms-hdr.asfv1;base64,',
      'm=audio 0 RTP/AVP 96',
      'b=AS:65',
      'b=RS:0',
      'b=RR:0',
      'a=rtpmap:96 x-asf-pf/1000',
      'a=control:audio',
      'a=stream:1',
      'm=application 0 RTP/AVP 96',
      'b=RS:0',
      'b=RR:0',
      'a=rtpmap:96 x-wms-rtx/1000',
      'a=control:rtx',
      'a=stream:65536',
      'm=application 0 RTP/AVP 96',
      'b=AS:12',
      'b=RS:0',
      'b=RR:0',
      'a=rtpmap:96 x-asf-pf/1000',
      'a=control:stream=2',
      'a=stream:2',
    ]);
    expect(list.replace(/12,WMServer\/9\.\d/, '12,WMServer/9.0')).toBe(
      'a=pgmpu:data:application/x-wms-contentdesc,8,language,31,0,,44,WMS_CONTENT_DESCRIPTION_SERVER_BRANDING_INFO,31,12,WMServer/9.0,' +
        '35,WMS_CONTENT_DESCRIPTION_DESCRIPTION,31,11,Static_Desc,9,copyright,31,16,Static_Copyright,6,author,31,13,Static_Author,' +
        '5,title,31,12,Static_Title,51,WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_START_OFFSET,3,4,3000,' +
        '47,WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_DURATION,3,1,0,58,WMS_CONTENT_DESCRIPTION_COPIED_METADATA_FROM_PLAYLIST_FILE,3,1,1,' +
        '42,WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL,31,4,live%0D%0A',
    );
    const genId = described.headers.get('X-Playlist-Gen-Id');

    const rtx = await ask(`SETUP ${url}/rtx RTSP/1.0
${COMMON}
CSeq: 2
X-Playlist-Gen-Id: ${genId}
Transport: RTP/AVP/UDP;unicast;client_port=${port}-${port};ssrc=74468686;mode=PLAY`);
    expect(names(rtx)).toEqual(SET_UP.filter((name) => name !== 'Blocksize').sort());
    const [first, second] = station.server.rtpPorts!;
    expect(rtx.headers.get('Transport')!.replace(/ssrc=[0-9a-f]{8}/, 'ssrc=')).toBe(
      `RTP/AVP/UDP;unicast;server_port=${first}-${second};client_port=${port}-${port};ssrc=;mode=PLAY`,
    );
    expect(rtx.headers.get('Session')).toMatch(/^\d{19,20};timeout=60$/);
    const session = rtx.headers.get('Session')!.split(';')[0]!;

    const pair = await ask(
      `SET_PARAMETER ${url} RTSP/1.0
Content-Length: 29
${COMMON}
Session: ${session}
Content-Type: application/x-rtsp-udp-packetpair;charset=UTF-8
CSeq: 3
X-Playlist-Gen-Id: ${genId}`,
      PAIR,
    );
    expect(names(pair)).toEqual(['Content-Type', 'Content-Length', 'Date', 'CSeq', 'Session', 'Server'].sort());
    expect(of(pair, 'Content-Type')).toEqual(['application/x-rtsp-udp-packetpair;charset=UTF-8']);
    expect(pair.body.toString()).toBe(PAIR);
    const random = await peer.packets(3);
    expect(
      random.map(({ marker, payloadType, timestamp, payload }) => [
        marker,
        payloadType,
        timestamp,
        payload.toString('hex', 0, 4),
      ]),
    ).toEqual([
      [true, 105, 0, 'c00005b2'],
      [true, 105, 0, '400005b3'],
      [true, 105, 0, '400005b4'],
    ]);

    for (const [sequence, control] of [
      ['4', 'audio'],
      ['5', 'stream=2'],
    ]) {
      const set = await ask(`SETUP ${url}/${control} RTSP/1.0
${COMMON}
Session: ${session}
CSeq: ${sequence}
X-Playlist-Gen-Id: ${genId}
Transport: RTP/AVP/UDP;unicast;client_port=${port};ssrc=e9cc7777;mode=PLAY`);
      expect(names(set)).toEqual([...SET_UP].sort());
      expect(of(set, 'Blocksize', 'CSeq', 'Cache-Control')).toEqual(['1452', sequence, CACHE]);
      expect(set.headers.get('Transport')!.replace(/ssrc=[0-9a-f]{8}/, 'ssrc=')).toBe(
        `RTP/AVP/UDP;unicast;server_port=${first};client_port=${port};ssrc=;mode=PLAY`,
      );
    }

    // As the recorded ones: two RTP packets each.
    const sound = () => station.sound({ stream: 1, packetSize: 2_762, dataSize: 2_700 });
    sound();
    const played = await ask(`PLAY ${url} RTSP/1.0
X-Playlist-Seek-Id: ${genId}
${COMMON}
Session: ${session}
CSeq: 6
Range: npt=0.000-
Bandwidth: 2147483647
X-Accelerate-Streaming: AccelDuration=8000;AccelBandwidth=592064`);
    // What is kept of a stream that has just begun is too little for an acceleration.
    expect(names(played).filter((name) => name !== 'X-Accelerate-Streaming')).toEqual(
      ['Date', 'CSeq', 'Session', 'Server', 'Supported', 'Range', 'Scale', 'Speed', 'RTP-Info'].sort(),
    );
    expect(of(played, 'Scale', 'Speed', 'Supported')).toEqual(['1.000', '1.000', SUPPORTED]);
    expect(played.headers.get('Range')).toMatch(/^npt=0\.000-/);
    expect(played.headers.get('RTP-Info')!.replace(/seq=\d{1,5}/g, 'seq=')).toBe(
      `url=${url}/audio;seq=;rtptime=0, url=${url}/stream=2;seq=;rtptime=0`,
    );

    sound();
    const packets = (await peer.packets(7)).slice(3);
    expect(packets.map(({ marker, payloadType, payload }) => [marker, payloadType, payload.readUInt8()])).toEqual([
      [false, 96, 0],
      [true, 96, 0],
      [false, 96, 0],
      [true, 96, 0],
    ]);
    const halves = packets.map(({ payload }) => payload.length);
    expect(packets[1]!.payload.readUIntBE(1, 3)).toBe(halves[0]! - 4);

    const logged = await ask(
      `SET_PARAMETER ${url} RTSP/1.0
Content-Length: ${LOG.length}
${COMMON}
Session: ${session}
Content-Type: application/x-wms-Logconnectstats;charset=UTF-8
CSeq: 7`,
      LOG,
    );
    expect(names(logged)).toEqual(['Date', 'CSeq', 'Session', 'Server'].sort());
    expect(station.logs.map(([, , client, kind, body]) => [client, kind, `${body}`])).toEqual([
      ['WMPlayer/9.0.0.4503', 'application/x-wms-logconnectstats', LOG],
    ]);
  });
});

import { type AsfHeader, buildHeader } from '../../src/asf/header.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import type { Field } from '../../src/framing/text-head.js';
import { writeRtpUnit } from '../../src/rtsp/messages/rtp.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { Playing } from './playing.js';
import { RTX_SSRC, ScriptedServer } from './scripted-server.js';

/*
 * The answers of Windows Media Services 9 as it gave them to Windows Media Player 9, with other addresses and names: a live stream of
 * sound and script commands by UDP. The packets have the sizes and flags of the recorded ones.
 */

const COMMON: readonly Field[] = [['Date', 'Tue, 24 Feb 2026 20:29:47 GMT']];
const CACHE: readonly Field[] = [
  ['Last-Modified', 'Tue, 24 Feb 2026 20:29:44 GMT'],
  ['Cache-Control', 'max-age=0, x-wms-stream-type="broadcast", must-revalidate, private, x-wms-proxy-split'],
];
const LIST =
  '8,language,31,0,,44,WMS_CONTENT_DESCRIPTION_SERVER_BRANDING_INFO,31,12,WMServer/9.0,35,WMS_CONTENT_DESCRIPTION_DESCRIPTION,31,4,Desc,' +
  '6,author,31,6,Author,5,title,31,5,Title,51,WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_START_OFFSET,3,4,3000,' +
  '42,WMS_CONTENT_DESCRIPTION_PLAYLIST_ENTRY_URL,31,6,Push:*%0D%0A';
/** Of the first media SETUP, which all streams travel on, and of the second, which nothing has. */
const [SSRC, OTHER_SSRC] = [0x4b1bac1a, 0x4b1bac35];
const FIRST = 51_804;
const PACKET_SIZE = 2_762;

/** Sound is stream 1, commands are stream 2. */
function recordedHeader(): AsfHeader {
  const made = testHeader({ video: false, commands: 3, preroll: 3_000, packetSize: PACKET_SIZE, title: 'Title' });
  const objects = made.objects.map((object) =>
    object.type === 'streamProperties' ? { ...object, flags: object.flags - 1 } : object,
  );
  return buildHeader(objects, made.dataObject);
}

function recordedSdp(url: string, header: AsfHeader): string {
  return [
    'v=0',
    'o=- 202602242029440906 202602242029440906 IN IP4 127.0.0.1',
    's=Title',
    'c=IN IP4 0.0.0.0',
    'b=AS:77',
    `a=maxps:${PACKET_SIZE}`,
    't=0 0',
    `a=control:${url}/`,
    'a=etag:{5537CE38-9463-6EB5-838A-53E2F732C450}',
    'a=range:npt=3.000-3.000',
    'a=type:broadcast',
    'a=recvonly',
    `a=pgmpu:data:application/x-wms-contentdesc,${LIST}`,
    `a=pgmpu:data:application/vnd.ms.wms-hdr.asfv1;base64,${header.bytes.toString('base64')}`,
    ...['m=audio 0 RTP/AVP 96', 'b=AS:65', 'b=X-AV:65', 'b=RS:0', 'b=RR:0', 'a=rtpmap:96 x-asf-pf/1000'],
    ...['a=control:audio', 'a=stream:1'],
    ...['m=application 0 RTP/AVP 96', 'b=RS:0', 'b=RR:0', 'a=rtpmap:96 x-wms-rtx/1000', 'a=control:rtx'],
    'a=stream:65536',
    ...['m=application 0 RTP/AVP 96', 'b=AS:12', 'b=X-AV:10', 'b=RS:0', 'b=RR:0', 'a=rtpmap:96 x-asf-pf/1000'],
    ...['a=control:stream=2', 'a=stream:2', ''],
  ].join('\r\n');
}

/** An ASF packet as that server sends it: an explicit Packet Length instead of padding. */
function soundPacket(sendTime: number, size: number, stream = 1): Buffer {
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(sendTime + 3_000, 4);
  const data = Buffer.alloc(size - 34, stream);
  replicated.writeUInt32LE(data.length, 0);
  const payloads = [{ stream, key: stream === 2, mediaObjectNumber: sendTime & 255, offset: 0, replicated, data }];
  return buildPacket({ sendTime, duration: 0, packetSize: size, payloads });
}

let server: ScriptedServer;
let playing: Playing;
beforeEach(async () => {
  server = await ScriptedServer.open();
});
afterEach(async () => {
  await playing.close();
  await server.close();
});

describe('the answers of Windows Media Services 9', () => {
  it('[RTSP-047] are understood, [RTSP-010] and so are its packets', async () => {
    const url = server.url('/test');
    const header = recordedHeader();
    server.answers = {
      DESCRIBE: () => ({
        fields: [
          ...[['Content-Type', 'application/sdp'] as const, ['Vary', 'Accept'] as const],
          ...[['X-Playlist-Gen-Id', '32'] as const, ['X-Broadcast-Id', '9'] as const],
          ...COMMON,
          ...CACHE,
        ],
        body: recordedSdp(url, header),
      }),
      PLAY: () => ({
        fields: [
          ...COMMON,
          ['Range', 'npt=0.000-692754997661663.232'],
          ['Scale', '1.000'],
          ['X-Accelerate-Streaming', 'AccelBandwidth=592064;AccelDuration=8000'],
          ['Speed', '1.000'],
          ['RTP-Info', `url=${url}/audio;seq=${FIRST};rtptime=0, url=${url}/stream=2;seq=2912;rtptime=0`],
        ],
      }),
    };
    server.ssrcs = { rtx: RTX_SSRC, audio: SSRC, 'stream=2': OTHER_SSRC };
    server.extra = [['Blocksize', '1452'], ...COMMON, ...CACHE];
    playing = new Playing({ url });
    await server.request('PLAY');

    // Two RTP packets an ASF packet, and a command in between: one SSRC, one sequence.
    let sequence = FIRST;
    const send = (bytes: Buffer, sendTime: number) => {
      const framing = { payloadType: 96, ssrc: SSRC, largest: 1_452, withLocation: false };
      const unit = { bytes, sendTime, keyFrame: bytes.length < 200, location: 0 };
      for (let index = 0; index < (bytes.length > 1_436 ? 2 : 1); index++) {
        const packet = Buffer.alloc(2_000);
        server.media(packet.subarray(0, writeRtpUnit(packet, 0, unit, index, sequence++, framing)));
      }
    };
    send(soundPacket(158_473, 2_759), 158_473);
    send(soundPacket(158_600, 96, 2), 158_600);
    send(soundPacket(158_814, 2_759), 158_814);
    await playing.has(3);
    expect(playing.times).toEqual([158_473, 158_600, 158_814]);
    expect(playing.packets.map(({ bytes }) => bytes.length)).toEqual([2_759, 96, 2_759]);
    expect(playing.client.stats).toMatchObject({ lostPackets: 0, damagedPackets: 0 });

    const described = playing.client.description!;
    expect(described).toMatchObject({ live: true, playlistGenId: 32, broadcastId: 9, features: ['broadcast'] });
    expect(described.descriptions).toContainEqual({ language: '', name: 'title', value: 'Title' });
    expect(described.cacheControl).toContain('x-wms-proxy-split');
    expect(described.header.bytes.equals(header.bytes)).toBe(true);
    // As the recorded player asked: the retransmission stream first, each request with the entry.
    await until('LogConnect', () => server.ofType('application/x-wms-Logconnectstats').length === 1);
    expect(server.requests.map(({ method, url: of }) => `${method} ${of.slice(url.length)}`)).toEqual([
      ...['DESCRIBE ', 'SETUP /rtx', 'SET_PARAMETER ', 'SETUP /audio', 'SETUP /stream=2', 'PLAY ', 'SET_PARAMETER '],
    ]);
    const [, , , , , asked] = server.requests;
    expect(asked!.headers.get('X-Playlist-Seek-Id')).toBe('32');
    expect(asked!.headers.get('Range')).toBe('npt=0.000-');
  });
});

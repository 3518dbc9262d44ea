import { buildFec } from '../../src/rtsp/messages/fec.js';
import { readRtp } from '../../src/rtsp/messages/rtp.js';
import { until } from '../support/until.js';
import { fileHeader } from './file-header.js';
import { Playing } from './playing.js';
import { ScriptedServer, SSRC, sdpOf } from './scripted-server.js';

const FEC_SSRC = 0x00fec001;
const FEC_TYPE = 98;

let server: ScriptedServer;
let playing: Playing;
beforeEach(async () => {
  server = await ScriptedServer.open();
  server.ssrcs = { ...server.ssrcs, 'video-fec': FEC_SSRC };
  server.answers['DESCRIBE'] = () => ({
    body: sdpOf(server.header).replace(
      /(m=video 0 RTP\/AVP 96)([\s\S]*?a=stream:\d+)/,
      `$1 ${FEC_TYPE}$2\r\na=rtpmap:${FEC_TYPE} x-wms-fec/1000\r\na=fmtp:${FEC_TYPE} video-fec 6 2`,
    ),
  });
});
afterEach(async () => {
  await playing.close();
  await server.close();
});

/** Builds the FEC packets of RTP packets. */
const fecOf = (sources: readonly Buffer[]) =>
  buildFec(sources.map(readRtp), 2, { payloadType: FEC_TYPE, sequence: 1, ssrc: FEC_SSRC });

describe('a client whose server sends FEC', () => {
  it('[RTSP-137] sets the FEC packets up too, [RTSP-085] with what the SDP says of them', async () => {
    playing = new Playing({ url: server.url() });
    await server.request('PLAY');
    const setUps = server.requests
      .filter(({ method }) => method === 'SETUP')
      .map(({ url }) => url.slice(server.url('').length));
    expect(setUps).toEqual(['/x/rtx', '/x/video', '/x/audio', '/x/video-fec']);
    const fec = server.requests.find(({ url }) => url.endsWith('/video-fec'))!;
    const media = server.requests.find(({ url }) => url.endsWith('/video'))!;
    const port = /client_port=\d+/.exec(media.headers.get('Transport')!)![0];
    expect(fec.headers.get('Transport')).toBe(
      `RTP/AVP/UDP;unicast;${port};mode=PLAY;FecSpan=6;FecPerSpan=2;FecBurstMargin=1`,
    );
  });

  it('[RTSP-167] rebuilds what is lost, fragments and all, and asks for nothing again', async () => {
    playing = new Playing({ url: server.url() });
    await server.request('PLAY');
    await until('the SETUP of FEC', () => server.requests.some(({ url }) => url.endsWith('/video-fec')));
    // Two ASF packets in three fragments each, of which the last of the first and the first of the second are lost.
    const sources = [...server.packets(0, { size: 150 }), ...server.packets(100, { size: 150 })];
    expect(sources).toHaveLength(6);
    for (const [index, packet] of sources.entries()) if (index !== 2 && index !== 3) server.media(packet);
    for (const packet of fecOf(sources)) server.media(packet);
    await playing.has(2);
    expect(playing.times).toEqual([0, 100]);
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 2, lostPackets: 0 });
  });

  it('[RTSP-161] keeps as many packets as the answer to SETUP says', async () => {
    server.header = fileHeader();
    server.answers['SETUP'] = ({ url }) =>
      url.endsWith('/video-fec')
        ? {
            fields: [
              [
                'Transport',
                `RTP/AVP/UDP;unicast;server_port=5004;ssrc=00fec001;mode=PLAY;FecSpan=3;FecPerSpan=1;FecBurstMargin=2`,
              ],
            ],
          }
        : undefined;
    playing = new Playing({ url: server.url(), lossWindow: 100 });
    await server.request('PLAY');
    const sources = Array.from({ length: 12 }, (_, index) => server.packets(index * 100)).flat();
    for (const packet of sources.slice(1)) server.media(packet);
    // 3 * 2 + 1 are kept, and these are older.
    for (const packet of fecOf(sources.slice(0, 3))) server.media(packet);
    await playing.has(11);
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 0, lostPackets: 1 });
  });

  it('[RTSP-166] does nothing with FEC packets that it did not ask for', async () => {
    server.answers['SETUP'] = ({ url }) => (url.endsWith('/video-fec') ? { status: 461 } : undefined);
    playing = new Playing({ url: server.url() });
    await server.request('PLAY');
    const sources = [...server.packets(0), ...server.packets(100)];
    server.media(sources[0]!);
    const [fec] = fecOf(sources);
    const disguised = Buffer.from(fec!);
    disguised.writeUInt32BE(SSRC, 8);
    server.media(disguised);
    server.media(sources[1]!);
    await playing.has(2);
    expect(playing.times).toEqual([0, 100]);
    expect(playing.client.stats).toMatchObject({ recoveredPackets: 0, lostPackets: 0, damagedPackets: 0 });
  });
});

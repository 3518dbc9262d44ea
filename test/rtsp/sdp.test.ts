import fc from 'fast-check';
import { RtspError } from '../../src/rtsp/messages/error.js';
import { controlUrl, RTX_STREAM, readSdp, type Sdp, writeSdp } from '../../src/rtsp/messages/sdp.js';

const sdp: Sdp = {
  title: 'Static_Title',
  sessionId: '202602242029440906',
  origin: { family: 'IP4', address: '192.0.2.1' },
  control: 'rtsp://192.0.2.1/test/',
  maxPacketSize: 2_762,
  etag: '{5537CE38-9463-6EB5-838A-53E2F732C450}',
  range: { start: 3_000, end: 3_000 },
  features: ['broadcast'],
  header: Buffer.from('an ASF header'),
  contentDescription: '5,title,31,12,Static_Title\r\n',
  media: [
    {
      kind: 'audio',
      stream: 1,
      control: 'audio',
      payloadType: 96,
      format: 'x-asf-pf',
      bitRate: 65_000,
      averageBitRate: 65_000,
    },
    { kind: 'application', stream: RTX_STREAM, control: 'rtx', payloadType: 96, format: 'x-wms-rtx' },
    {
      kind: 'application',
      stream: 2,
      control: 'stream=2',
      payloadType: 96,
      format: 'x-asf-pf',
      bitRate: 12_000,
      averageBitRate: 10_000,
    },
  ],
};

describe('an SDP', () => {
  it('[RTSP-043] has the lines of a real server, in its order, and a control in each section', () => {
    expect(writeSdp(sdp).split('\r\n')).toEqual([
      'v=0',
      'o=- 202602242029440906 202602242029440906 IN IP4 192.0.2.1',
      's=Static_Title',
      'c=IN IP4 0.0.0.0',
      'b=AS:77',
      'a=maxps:2762',
      't=0 0',
      'a=control:rtsp://192.0.2.1/test/',
      'a=etag:{5537CE38-9463-6EB5-838A-53E2F732C450}',
      'a=range:npt=3.000-3.000',
      'a=type:broadcast',
      'a=recvonly',
      'a=pgmpu:data:application/x-wms-contentdesc,5,title,31,12,Static_Title%0D%0A',
      `a=pgmpu:data:application/vnd.ms.wms-hdr.asfv1;base64,${Buffer.from('an ASF header').toString('base64')}`,
      'm=audio 0 RTP/AVP 96',
      'b=AS:65',
      'b=X-AV:65',
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
      'b=X-AV:10',
      'b=RS:0',
      'b=RR:0',
      'a=rtpmap:96 x-asf-pf/1000',
      'a=control:stream=2',
      'a=stream:2',
      '',
    ]);
  });

  it('is read back', () => {
    const read = readSdp(writeSdp(sdp));
    expect(read).toMatchObject({ ...sdp, media: sdp.media.map((media) => ({ ...media })) });
  });

  it('[RTSP-052] has no a=type without a feature, [RTSP-045] and always a=maxps', () => {
    const text = writeSdp({ ...sdp, features: [] });
    expect(text).not.toContain('a=type');
    expect(text).toContain('\r\na=maxps:2762\r\n');
    expect(writeSdp({ ...sdp, features: ['notseekable', 'playlist'] })).toContain(
      '\r\na=type:notseekable,playlist\r\n',
    );
  });

  it('[RTSP-040] sums the bit rates, [RTSP-041] and asks for no RTCP reports', () => {
    const text = writeSdp({ ...sdp, media: [{ ...sdp.media[0]!, bitRate: 65_001, averageBitRate: undefined }] });
    expect(text.match(/b=AS:66/g)).toHaveLength(2);
    expect(text).toContain('b=RS:0\r\nb=RR:0\r\n');
  });

  it('[RTSP-042] states the average if it differs', () => {
    expect(writeSdp({ ...sdp, media: [{ ...sdp.media[0]!, averageBitRate: undefined }] })).not.toContain('X-AV');
  });

  it('[RTSP-049] percent-encodes a description list in UTF-8', () => {
    const text = writeSdp({ ...sdp, contentDescription: '5,title,31,7,Größe\r\n' });
    expect(text).toContain('a=pgmpu:data:application/x-wms-contentdesc,5,title,31,7,Gr%C3%B6%C3%9Fe%0D%0A\r\n');
    expect(readSdp(text).contentDescription).toBe('5,title,31,7,Größe\r\n');
  });

  it('[RTSP-050] says which streams want a reliable transport', () => {
    const [media] = readSdp(writeSdp({ ...sdp, media: [{ ...sdp.media[0]!, reliable: true }] })).media;
    expect(media).toMatchObject({ reliable: true });
  });

  it('[RTSP-055] has FEC as another payload type of its stream, [RTSP-056] within its bounds', () => {
    const fec = { payloadType: 98, control: 'audio/fec', span: 24, perSpan: 1 };
    const text = writeSdp({ ...sdp, media: [{ ...sdp.media[0]!, fec }] });
    expect(text).toContain('m=audio 0 RTP/AVP 96 98\r\n');
    expect(text).toContain('a=rtpmap:98 x-wms-fec/1000\r\na=fmtp:98 audio/fec 24 1\r\n');
    // FFmpeg takes a stream for what the last of these lines says, and looks for its codec for ten seconds.
    expect(text.indexOf('a=rtpmap:98 ')).toBeLessThan(text.indexOf('a=rtpmap:96 '));
    expect(readSdp(text).media[0]!.fec).toEqual(fec);
    expect(readSdp(text.replace('24 1', '25 1')).media[0]!.fec).toBeUndefined();
    expect(readSdp(text.replace('24 1', '3 4')).media[0]!.fec).toBeUndefined();
  });

  it('has IPv6 addresses if the server has', () => {
    const text = writeSdp({
      ...sdp,
      origin: { family: 'IP6', address: '2001:db8::1' },
      control: 'rtsp://[2001:db8::1]/test/',
    });
    expect(text).toContain('IN IP6 2001:db8::1\r\n');
    expect(text).toContain('c=IN IP6 ::\r\n');
    expect(readSdp(text).origin).toEqual({ family: 'IP6', address: '2001:db8::1' });
  });

  it('cannot be broken by a title', () => {
    const text = writeSdp({ ...sdp, title: 'one\r\na=control:rtsp://evil/' });
    expect(readSdp(text)).toMatchObject({ title: 'one a=control:rtsp://evil/', control: sdp.control });
    expect(writeSdp({ ...sdp, title: '\n' })).toContain('\r\ns=-\r\n');
  });

  it('[RTSP-047] without an ASF header is refused', () => {
    expect(() => readSdp('v=0\r\n')).toThrow(RtspError);
    expect(() => readSdp(writeSdp(sdp).replace(/base64,\w/, 'base64,!'))).toThrow(RtspError);
  });

  it('[RTSP-051] has only streams that ASF can have', () => {
    const streams = (stream: number) =>
      readSdp(writeSdp({ ...sdp, media: [{ ...sdp.media[0]!, stream }] })).media.length;
    expect([0, 1, 127, RTX_STREAM, 131_070, 131_071].map(streams)).toEqual([0, 1, 1, 1, 1, 0]);
  });

  it('[RTSP-043] gives streams URLs by the control of the session', () => {
    expect(controlUrl(sdp, 'audio', 'rtsp://h/test')).toBe('rtsp://192.0.2.1/test/audio');
    expect(controlUrl({ control: '' }, 'stream=2', 'rtsp://h/test')).toBe('rtsp://h/test/stream=2');
    expect(controlUrl(sdp, 'rtsp://other/x', 'rtsp://h/test')).toBe('rtsp://other/x');
  });

  it('of any content throws only its own error', () => {
    const lines = writeSdp(sdp).split('\r\n');
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...lines), fc.string())), (some) => {
        try {
          readSdp(some.join('\r\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(RtspError);
        }
      }),
    );
  });
});

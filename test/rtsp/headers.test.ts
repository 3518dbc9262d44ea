import fc from 'fast-check';
import { RtspError } from '../../src/rtsp/messages/error.js';
import * as headers from '../../src/rtsp/messages/headers.js';

describe('Transport', () => {
  it('[RTSP-083] of a player: UDP with its ports', () => {
    expect(headers.readTransports('RTP/AVP/UDP;unicast;client_port=1378-1379;ssrc=74468686;mode=PLAY')).toEqual([
      {
        protocol: 'udp',
        unicast: true,
        clientPort: [1378, 1379],
        serverPort: undefined,
        interleaved: undefined,
        ssrc: 0x74468686,
        fec: undefined,
      },
    ]);
  });

  it('[RTSP-123] of a server, as a real one writes it', () => {
    const udp = {
      protocol: 'udp',
      clientPort: [1380, undefined],
      serverPort: [5004, undefined],
      ssrc: 0x4b1bac1a,
    } as const;
    expect(headers.writeTransport(udp)).toBe(
      'RTP/AVP/UDP;unicast;server_port=5004;client_port=1380;ssrc=4b1bac1a;mode=PLAY',
    );
    const pair = { protocol: 'udp', clientPort: [1378, 1379], serverPort: [5004, 5005], ssrc: 0xa1713e1d } as const;
    expect(headers.writeTransport(pair)).toBe(
      'RTP/AVP/UDP;unicast;server_port=5004-5005;client_port=1378-1379;ssrc=a1713e1d;mode=PLAY',
    );
    expect(headers.writeTransport({ protocol: 'tcp', interleaved: [0, 1], ssrc: 1 })).toBe(
      'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001;mode=PLAY',
    );
  });

  it('lists transports by preference, without those that are not RTP/AVP or have no valid port', () => {
    const ways = headers.readTransports(
      'RAW/RAW/UDP;unicast, rtp/avp;unicast;client_port=70000, RTP/AVP/TCP;interleaved=4-5',
    );
    expect(ways.map(({ protocol, clientPort, interleaved }) => [protocol, clientPort, interleaved])).toEqual([
      ['udp', undefined, undefined],
      ['tcp', undefined, [4, 5]],
    ]);
  });

  it('[RTSP-084] holds FEC parameters in hexadecimal, within their bounds', () => {
    const of = (text: string) => headers.readTransports(`RTP/AVP;unicast;client_port=1-2;${text}`)[0]!.fec;
    expect(of('FecSpan=18;FecPerSpan=1;FecBurstMargin=1')).toEqual({ span: 24, perSpan: 1, burstMargin: 1 });
    expect(of('FecSpan=19;FecPerSpan=1;FecBurstMargin=1')).toBeUndefined();
    expect(of('FecSpan=4;FecPerSpan=5;FecBurstMargin=1')).toBeUndefined();
    expect(of('FecSpan=18;FecPerSpan=1;FecBurstMargin=2')).toBeUndefined();
    expect(of('FecSpan=d;FecPerSpan=2;FecBurstMargin=2')).toEqual({ span: 13, perSpan: 2, burstMargin: 2 });
    expect(of('FecSpan=6;FecPerSpan=1;FecBurstMargin=5')).toBeUndefined();
    expect(of('FecSpan=1;FecPerSpan=1;FecBurstMargin=d')).toBeUndefined();
    const fec = { span: 4, perSpan: 1, burstMargin: 6 };
    expect(of(headers.writeTransport({ protocol: 'udp', fec }).split('mode=PLAY;')[1]!)).toEqual(fec);
  });
});

describe('Range', () => {
  it.each([
    ['npt=0.000-', { unit: 'time', start: 0, end: undefined }],
    ['npt=12.5-20', { unit: 'time', start: 12_500, end: 20_000 }],
    ['npt=1:02:03.4-', { unit: 'time', start: 3_723_400, end: undefined }],
    ['npt=now-', { unit: 'time', start: undefined, end: undefined }],
    ['npt=-20', { unit: 'time', start: undefined, end: 20_000 }],
    ['smpte-25=00:00:10:05-', { unit: 'time', start: 10_200, end: undefined }],
    ['x-asf-byte=5000-', { unit: 'byte', start: 5_000, end: undefined }],
    ['x-asf-packet=7-9', { unit: 'packet', start: 7, end: 9 }],
  ])('[RTSP-069] %s', (text, range) => {
    expect(headers.readRange(text)).toEqual(range);
  });

  it.each([
    '',
    'npt',
    'npt=x-',
    'npt=1-2,npt=3-4',
    'clock=19960213T143205Z-',
    'bytes=0-',
    'x-asf-byte=-5',
    'x-asf-packet=99999999999999999999-',
    'npt=1:99:00-',
  ])('[RTSP-069] "%s" is refused', (text) => {
    expect(() => headers.readRange(text)).toThrow(RtspError);
  });

  it('is written in seconds', () => {
    expect(headers.writeNpt(0)).toBe('npt=0.000-');
    expect(headers.writeNpt(3_000, 12_345)).toBe('npt=3.000-12.345');
    expect(headers.writeNpt(0, Number.POSITIVE_INFINITY)).toBe('npt=0.000-');
  });
});

describe('RTP-Info', () => {
  const SERVER =
    'url=rtsp://192.0.2.1/test/audio;seq=51804;rtptime=0, url=rtsp://192.0.2.1/test/stream=2;seq=2912;rtptime=0';

  it('as a real server writes it', () => {
    const streams = [
      { url: 'rtsp://192.0.2.1/test/audio', sequence: 51_804, rtpTime: 0 },
      { url: 'rtsp://192.0.2.1/test/stream=2', sequence: 2_912, rtpTime: 0 },
    ];
    expect(headers.writeRtpInfo(streams)).toBe(SERVER);
    expect(headers.readRtpInfo(SERVER)).toEqual(streams.map((stream) => ({ ...stream, ssrc: undefined, thinning: 0 })));
  });

  it('[RTSP-071] with quotes around the URL, [RTSP-099] which a URL with a separator needs', () => {
    const urls = ['rtsp://h/a;b', 'rtsp://h/a,b', 'rtsp://h/a;b,c', 'rtsp://h/a=b'];
    expect(urls.map(headers.writeStreamUrl)).toEqual([...urls.slice(0, 3).map((url) => `"${url}"`), urls[3]]);
    for (const text of ['url="rtsp://h/a;b,c";Seq=1', '"url=rtsp://h/a;b,c";seq=1', '"rtsp://h/a;b,c";seq=1']) {
      expect(headers.readRtpInfo(text)).toMatchObject([{ url: 'rtsp://h/a;b,c', sequence: 1 }]);
    }
  });

  it('[RTSP-097] with the parameters of a transport', () => {
    const text =
      'url=rtsp://h/x/audio;unicast;server_port=5004;client_port=1380;ssrc=4b1bac1a;seq=51804;thinlevel=1;blocksize=1452';
    expect(headers.readRtpInfo(text)).toEqual([
      { url: 'rtsp://h/x/audio', sequence: 51_804, rtpTime: undefined, ssrc: 0x4b1bac1a, thinning: 1 },
    ]);
    const streams = [0, 1, 2].map((thinning) => ({
      ...headers.readRtpInfo(text)[0]!,
      thinning: thinning as 0 | 1 | 2,
    }));
    const transport = { protocol: 'udp', serverPort: [5004], clientPort: [1380] } as const;
    const written = headers.writeXRtpInfo(streams, transport, 1_452);
    expect(headers.readRtpInfo(written)).toEqual(streams.map((stream) => ({ ...stream, rtpTime: 0 })));
    expect(written).toContain(';unicast;transport=RTP/AVP/UDP;server_port=5004;client_port=1380;blocksize=1452;');
  });

  it('[RTSP-211] without a URL is an error', () => {
    for (const text of ['', ' , ', ';seq=1', 'url=', 'a'.repeat(5_000), Array(200).fill('rtsp://h/x').join(',')]) {
      expect(() => headers.readRtpInfo(text)).toThrow(RtspError);
    }
  });
});

describe('other headers', () => {
  it('[RTSP-087] X-Accelerate-Streaming, [RTSP-089] X-Burst-Streaming, in either order', () => {
    const burst = { bitsPerSecond: 592_064, milliseconds: 8_000 };
    expect(headers.readBurst('Accel', 'AccelDuration=8000;AccelBandwidth=592064')).toEqual(burst);
    expect(headers.readBurst('Accel', headers.writeBurst('Accel', burst))).toEqual(burst);
    expect(headers.writeBurst('Burst', burst)).toBe('BurstBandwidth=592064;BurstDuration=8000');
    expect(headers.readBurst('Burst', 'BurstBandwidth=4294967295;BurstDuration=1')).toBeUndefined();
    expect(headers.readBurst('Burst', 'BurstBandwidth=2147483647;BurstDuration=1')).toBeDefined();
    const most = { bitsPerSecond: 4_294_967_295, milliseconds: 4_294_967_295 };
    expect(headers.readBurst('Accel', headers.writeBurst('Accel', most))).toEqual(most);
    expect(headers.readBurst('Accel', 'AccelDuration=4294967296;AccelBandwidth=1')).toBeUndefined();
    expect(headers.readBurst('Accel', 'AccelDuration=8000')).toBeUndefined();
  });

  it('[RTSP-195] Session with its timeout', () => {
    expect(headers.readSession('7614951756592997186;timeout=60')).toEqual({ id: '7614951756592997186', timeout: 60 });
    expect(headers.readSession('a ; timeout=0')).toEqual({ id: 'a', timeout: 60 });
  });

  it('numbers and rates', () => {
    expect([headers.readNumber('32'), headers.readNumber('-1'), headers.readNumber(undefined)]).toEqual([
      32,
      undefined,
      undefined,
    ]);
    expect([headers.readRate('1.000'), headers.readRate('-5'), headers.readRate('fast')]).toEqual([1, -5, undefined]);
  });
});

describe('bodies', () => {
  it('[RTSP-119] a stream switch, with or without its name', () => {
    const change = {
      old: 2,
      new: 3,
      thinning: 0,
      oldUrl: 'rtsp://h/x/stream=2',
      newUrl: 'rtsp://h/x/stream=3',
    } as const;
    const body = 'SSEntry: 2 3 0 rtsp://h/x/stream=2 rtsp://h/x/stream=3\r\n';
    expect(headers.writeStreamSwitch(change)).toBe(body);
    expect(headers.readStreamSwitch(body)).toEqual(change);
    expect(headers.readStreamSwitch(body.replace('SSEntry:', ''))).toEqual(change);
    const added = { old: undefined, new: 3, thinning: 1, oldUrl: undefined, newUrl: 'rtsp://h/x/stream=3' } as const;
    expect(headers.writeStreamSwitch(added)).toBe('SSEntry: 4294967295 3 1 rtsp://h/x/stream=3\r\n');
    expect(headers.readStreamSwitch(headers.writeStreamSwitch(added))).toEqual(added);
  });

  it('[RTSP-120] a stream switch with another level is refused', () => {
    for (const body of ['', 'SSEntry:', 'SSEntry: 1 2 3', 'SSEntry: a b c', 'SSEntry: 1 2']) {
      expect(() => headers.readStreamSwitch(body)).toThrow(RtspError);
    }
  });

  it('[RTSP-107] an end, [RTSP-108] and why', () => {
    const body = headers.writeEndOfStream('13856065358275910855', 'end');
    expect(body).toBe('Session: 13856065358275910855\r\nEOF: true\r\n');
    // The body of the specification's example has 71 bytes with its third line.
    expect(headers.writeEndOfStream('13856065358275910855', 'more-entries')).toHaveLength(71);
    for (const reason of ['end', 'more-entries', 'rewound', 'kicked'] as const) {
      expect(headers.readEndOfStream(headers.writeEndOfStream('1', reason))).toBe(reason);
    }
    expect(headers.readEndOfStream('anything')).toBeUndefined();
  });

  it('and headers of any content throw only their own error', () => {
    const readers = [
      headers.readTransports,
      headers.readRange,
      headers.readRtpInfo,
      headers.readSession,
      headers.readStreamSwitch,
      headers.readEndOfStream,
      headers.readNumber,
      headers.readRate,
    ];
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const reader of readers) {
          try {
            reader(text);
          } catch (error) {
            expect(error).toBeInstanceOf(RtspError);
          }
        }
      }),
    );
  });
});

import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import { RtspError } from '../../src/rtsp/messages/error.js';
import {
  type RtspInput,
  RtspReader,
  type RtspResponse,
  serialiseRequest,
  serialiseResponse,
  writeFrameHead,
} from '../../src/rtsp/messages/message.js';

const text = (input: RtspInput) =>
  input.type === 'frame'
    ? `frame ${input.channel} ${input.bytes.toString()}`
    : `${input.type === 'request' ? `${input.method} ${input.url}` : input.status} ${input.body.toString()}`.trim();

function frame(channel: number, payload: string): Buffer {
  const bytes = Buffer.alloc(4 + payload.length);
  bytes.write(payload, writeFrameHead(bytes, 0, channel, payload.length));
  return bytes;
}

const stream = Buffer.concat([
  serialiseRequest('SET_PARAMETER', 'rtsp://h/x', [['CSeq', '1']], Buffer.from('type: high-entropy-packetpair')),
  frame(2, 'media'),
  Buffer.from('\r\n\r\n'),
  serialiseResponse(454, [['CSeq', '2']]),
  frame(0, ''),
  serialiseRequest('PLAY', 'rtsp://[::1]:554/a%20b', [
    ['CSeq', '3'],
    ['Session', '1'],
  ]),
]);
const inputs = [
  'SET_PARAMETER rtsp://h/x type: high-entropy-packetpair',
  'frame 2 media',
  '454',
  'frame 0',
  'PLAY rtsp://[::1]:554/a%20b',
];

function read(cuts: readonly number[]): string[] {
  const reader = new RtspReader();
  const found: string[] = [];
  let from = 0;
  for (const to of [...cuts, stream.length]) {
    for (const input of reader.push(stream.subarray(from, to))) found.push(text(input).trim());
    from = to;
  }
  expect(reader.midMessage).toBe(false);
  return found;
}

describe('an RTSP connection', () => {
  it('[RTSP-124] carries requests, responses and frames, wherever it is cut', () => {
    for (let cut = 0; cut < stream.length; cut++) expect(read([cut])).toEqual(inputs);
    expect(read(Array.from(stream.keys()))).toEqual(inputs);
  });

  it('[RTSP-001] speaks RTSP/1.0', () => {
    expect(serialiseRequest('OPTIONS', '*', []).toString()).toBe('OPTIONS * RTSP/1.0\r\n\r\n');
    expect(serialiseResponse(200, [['CSeq', '1']]).toString()).toBe('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n');
    expect(() => [...new RtspReader().push(Buffer.from('OPTIONS * RTSP/2.0\r\n\r\n'))]).toThrow(
      expect.objectContaining({ status: 505 }),
    );
  });

  it.each([
    ['no version', 'OPTIONS *\r\n\r\n'],
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n'],
    ['no URL', 'PLAY RTSP/1.0\r\n\r\n'],
    ['a broken field', 'PLAY rtsp://h/ RTSP/1.0\r\nno colon\r\n\r\n'],
    ['two lengths', 'PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['a negative length', 'PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n'],
    ['a head without an end', `PLAY rtsp://h/ RTSP/1.0\r\nA: ${'x'.repeat(20_000)}`],
    ['a body that is too long', 'PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 999999999\r\n\r\n'],
  ])('ends with an error for %s, and stays ended', (_, bytes) => {
    const reader = new RtspReader();
    expect(() => [...reader.push(Buffer.from(bytes))]).toThrow(RtspError);
    expect(() => [...reader.push(stream)]).toThrow(RtspError);
  });

  it('tolerates a blank line inside a head, wherever the bytes are cut', () => {
    const torn = 'RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nSession: 7\r\nContent-Length: 3\r\n\r\nabc';
    const next = 'RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n';
    const [first, second] = [...new RtspReader().push(Buffer.from(torn + next))] as RtspResponse[];
    expect(first!.headers.get('Session')).toBe('7');
    expect(first!.body.toString()).toBe('abc');
    expect(second!.headers.get('CSeq')).toBe('2');
    // What was handled before the rest came is left as it is.
    const reader = new RtspReader();
    const end = torn.indexOf('Session');
    expect([...reader.push(Buffer.from(torn.slice(0, end)))]).toHaveLength(1);
    const plain = 'Session: 7\r\n\r\n';
    expect([...reader.push(Buffer.from(plain + next))]).toHaveLength(1);
    expect(() => [...new RtspReader().push(Buffer.from(`${plain.repeat(6)}`))]).toThrow(RtspError);
  });

  it('does not rescan a long body with each byte', () => {
    const body = Buffer.alloc(200_000, 'x');
    const bytes = serialiseRequest('SET_PARAMETER', 'rtsp://h/', [], body);
    const reader = new RtspReader();
    let copied = 0;
    const concat = Buffer.concat;
    Buffer.concat = (list, size) => {
      const joined = concat(list, size);
      copied += joined.length;
      return joined;
    };
    try {
      const found: RtspInput[] = [];
      for (let at = 0; at < bytes.length; at += 7) found.push(...reader.push(bytes.subarray(at, at + 7)));
      expect(found).toHaveLength(1);
    } finally {
      Buffer.concat = concat;
    }
    expect(copied).toBeLessThan(bytes.length * 4);
  });

  it('sends no field that would end the head', () => {
    expect(() => serialiseResponse(200, [['Location', 'rtsp://h/\r\nX: y']])).toThrow(WmError);
    expect(() => serialiseRequest('PLAY', 'rtsp://h/a b', [])).toThrow(RtspError);
  });

  it('throws only its own error, whatever arrives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('\r\n', '\r\n\r\n', ' RTSP/1.0', '$\0\0\x03abc', 'PLAY x'))),
        (parts) => {
          const reader = new RtspReader();
          try {
            for (const part of parts) for (const input of reader.push(Buffer.from(part, 'latin1'))) text(input);
          } catch (error) {
            expect(error).toBeInstanceOf(RtspError);
          }
        },
      ),
    );
  });
});

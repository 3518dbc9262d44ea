import fc from 'fast-check';
import { PragmaTokens, streamSwitches } from '../../src/wmsp/messages/pragma.js';

const tokens = (...lines: string[]) => new PragmaTokens(lines);

describe('Pragma tokens', () => {
  it('[WMSP-018] are read from all Pragma headers', () => {
    const pragma = tokens('no-cache,rate=1.000000,request-context=2', 'xPlayStrm=1');
    expect(pragma.has('no-cache')).toBe(true);
    expect(pragma.number('request-context')).toBe(2);
    expect(pragma.flag('xPlayStrm')).toBe(true);
  });

  it('[WMSP-003] are ignored if unknown, and the others take effect', () => {
    const pragma = tokens('nonsense=(7,xPlayStrm=1,,=,;,client-id=7');
    expect(pragma.flag('xPlayStrm')).toBe(true);
    expect(pragma.number('client-id')).toBe(7);
  });

  it('yield the number before the text that FFmpeg forgets to put on another line', () => {
    expect(tokens('no-cache,rate=1.000000,stream-time=10000Connection: Close').number('stream-time')).toBe(10_000);
  });

  it.each(['XPLAYSTRM=1', 'xplaystrm=1', ' xPlayStrm = 1 '])('have names in any case: %s', (line) => {
    expect(tokens(line).flag('xPlayStrm')).toBe(true);
  });

  it('keep commas within quotes', () => {
    expect(tokens('features="seekable, stridable", client-id=4').text('features')).toBe('seekable, stridable');
    expect(tokens('features="seekable, stridable", client-id=4').number('client-id')).toBe(4);
  });

  it('[WMSP-032] include the whole log-line header as one token', () => {
    const line = '192.0.2.1 2003-01-01 11:22:33 - mms://h/a,b.wmv 0 30 1 200 {guid} 9,0 en-US';
    const pragma = tokens(`log-line=${line}`, 'client-id=5');
    expect(pragma.text('log-line')).toBe(line);
    expect(pragma.number('client-id')).toBe(5);
  });

  it('[WMSP-022] have a client-id of at most 32 bits', () => {
    expect(tokens('client-id=4294967295').number('client-id')).toBe(4_294_967_295);
    expect(tokens('client-id=4294967296').number('client-id')).toBeUndefined();
    expect(tokens('client-id=-1').number('client-id')).toBeUndefined();
  });

  it('[WMSP-057] count xPlayStrm=0 as absent', () => {
    expect(tokens('xPlayStrm=0').flag('xPlayStrm')).toBe(false);
  });

  it('may be any text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        const pragma = new PragmaTokens(lines);
        pragma.number('client-id');
        streamSwitches(pragma, new Set([1]));
      }),
    );
  });

  // Quadratic work on these would exceed the time limit of jest.
  it('are read in linear time from long hostile lines', () => {
    const lines = [
      `${'"'.repeat(500_000)}${','.repeat(500_000)}`,
      ' '.repeat(500_000),
      `stream-switch-entry=${'f:'.repeat(500_000)}`,
    ];
    expect(tokens(...lines).has('stream-switch-entry')).toBe(true);
    expect(streamSwitches(tokens(...lines), new Set([1]))).toEqual([]);
  });
});

describe('stream-switch-entry', () => {
  const known = new Set([1, 2, 10]);
  const switches = (text: string) => streamSwitches(tokens(`stream-switch-entry=${text}`), known);

  it('[WMSP-048] reads source, destination and level as hexadecimal numbers, ffff as no source', () => {
    expect(switches('ffff:1:0 1:2:2')).toEqual([
      { source: undefined, destination: 1, level: 0 },
      { source: 1, destination: 2, level: 2 },
    ]);
    expect(switches('FFFF:a:1')).toEqual([{ source: undefined, destination: 10, level: 1 }]);
  });

  it('tolerates the blank at the end that FFmpeg, VLC and libmms send', () => {
    expect(switches('ffff:1:0 ffff:2:0 ')).toHaveLength(2);
  });

  it('reads a number as decimal if it is unknown as hexadecimal', () => {
    expect(switches('ffff:10:0')).toEqual([{ source: undefined, destination: 10, level: 0 }]);
    expect(streamSwitches(tokens('stream-switch-entry=ffff:10:0'), new Set([16]))?.[0]?.destination).toBe(16);
  });

  it('accepts the other spelling of the specification, and ignores malformed entries', () => {
    expect(streamSwitches(tokens('switch-stream-entry=ffff:1:0'), known)).toHaveLength(1);
    expect(switches('ffff:1:3 ffff:1 :: ffff:2:0')).toEqual([{ source: undefined, destination: 2, level: 0 }]);
  });

  it('distinguishes a missing entry from an empty one', () => {
    expect(streamSwitches(tokens('no-cache'), known)).toBeUndefined();
    expect(switches('')).toEqual([]);
  });
});

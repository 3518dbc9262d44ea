import { hasWays, waysTo } from '../../src/sources/ways.js';

const names = (url: string, options = {}) => waysTo(url, options).map(({ name }) => name);

describe('the ways to a URL', () => {
  it('are RTSP, MMS and HTTP for mms://, datagrams before TCP, as players try them', () => {
    expect(names('mms://server/live')).toEqual([
      'RTSP over UDP to server',
      'RTSP over TCP to server',
      'MMS over UDP to server',
      'MMS over TCP to server',
      'HTTP to server',
    ]);
    // Whatever the order, content may be known to HTTP alone.
    expect(waysTo('mms://server/live', {}).map(({ evenIfMissing }) => evenIfMissing ?? false)).toEqual([
      ...Array(4).fill(false),
      true,
    ]);
  });

  it('all use the port of the URL', () => {
    expect(new Set(names('mms://[::1]:8080/x').map((name) => name.split(' to ')[1]))).toEqual(new Set(['[::1]:8080']));
  });

  it.each([
    ['mmst://h/x', ['MMS over TCP to h']],
    ['mmsu://h/x', ['MMS over UDP to h', 'MMS over TCP to h']],
    ['rtsp://h/x', ['RTSP over UDP to h', 'RTSP over TCP to h']],
    ['rtspt://h/x', ['RTSP over TCP to h']],
    ['mmsh://h/x', ['HTTP to h']],
    ['https://h/x', ['HTTP to h']],
  ])('of %s are those of its protocol', (url, expected) => {
    expect(hasWays(url)).toBe(true);
    expect(names(url)).toEqual(expected);
  });

  it('go through an HTTP proxy by HTTP alone', () => {
    const proxy = 'http://proxy:3128';
    expect(names('mms://h/x', { proxy })).toEqual(['HTTP to h']);
    expect(() => names('mmst://h/x', { proxy })).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringContaining('HTTP proxy') }),
    );
    expect(hasWays('msbd://h')).toBe(false);
  });

  it('stay the same if options suit one protocol only', () => {
    expect(names('mms://h/x', { userAgent: 'NSPlayer/9.0.0.2833', identity: 'NSServer' })).toHaveLength(5);
  });
});

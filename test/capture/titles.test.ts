import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHlsPlaylist } from '../../src/capture/hls-playlist.js';
import { titleOfId3 } from '../../src/capture/id3.js';
import { EncoderLog } from '../../src/capture/log.js';
import { CaptureSource } from '../../src/capture/source.js';
import { MediaTime } from '../../src/media/media-time.js';
import { type HlsStation, hlsStation, id3Tag, tsSegments, withTimedId3 } from '../support/hls-station.js';
import { ffmpegPath } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-titles-'));
let segments: Buffer[];
beforeAll(async () => {
  segments = await tsSegments(ffmpegPath, folder, 5);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stations: HlsStation[] = [];
afterEach(() => {
  for (const station of stations.splice(0)) station.close();
});
async function station(files: (path: string) => string | Buffer | undefined): Promise<HlsStation> {
  const made = await hlsStation(files);
  stations.push(made);
  return made;
}

const segmentOf = (path: string): Buffer | undefined => segments[Number(/part(\d)\.ts$/.exec(path)?.[1] ?? Number.NaN)];

function playlist(entries: readonly string[], more = '#EXT-X-ENDLIST\n', sequence = 0): string {
  const lines = entries.map((title, index) => `#EXTINF:2.0,${title}\npart${sequence + index}.ts\n`);
  return `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:${sequence}\n${lines.join('')}${more}`;
}

/** Captures an input; returns its titles, each with the second of media at which it came. */
async function titlesOf(input: string): Promise<{ titles: Array<[number, string]>; has: boolean }> {
  const titles: Array<[number, string]> = [];
  const time = new MediaTime();
  const source = new CaptureSource({
    input,
    ...{ size: { width: 160, height: 120 }, fps: 25, videoBitrate: 100_000, realtime: false },
    onTitle: (title) => titles.push([time.milliseconds / 1000, title]),
  });
  let has = false;
  for await (const event of source) {
    if (event.type === 'header') has = source.hasTitles;
    time.count(event);
  }
  return { titles, has };
}

/** Expects titles at about their times, in seconds: a packet may hold up to half a second. */
function expectTitles(
  found: ReadonlyArray<[number, string]>,
  wanted: ReadonlyArray<[number, string]>,
  slack = 0.6,
): void {
  expect(found.map(([, title]) => title)).toEqual(wanted.map(([, title]) => title));
  for (const [index, [time]] of wanted.entries()) expect(Math.abs(found[index]![0] - time)).toBeLessThan(slack);
}

describe('the titles of HLS', () => {
  it('come from #EXTINF, at the times of their segments', async () => {
    const list = playlist(['One', 'One', 'no desc', 'title="Two",artist="Band"', '']);
    const { url } = await station((path) => (path === 'a.m3u8' ? list : segmentOf(path)));
    const { titles, has } = await titlesOf(`${url}/a.m3u8`);
    expect(has).toBe(true);
    expectTitles(titles, [
      [0, 'One'],
      [6, 'Band - Two'],
    ]);
  });

  it('come from date ranges, by the clock of the playlist', async () => {
    const start = Date.parse('2026-01-01T00:00:00Z');
    const range = (seconds: number, more: string) =>
      `#EXT-X-DATERANGE:ID="${seconds}",START-DATE="${new Date(start + seconds * 1000).toISOString()}",${more}\n`;
    const ranges = [range(-60, 'X-TITLE="Before"'), range(3, 'X-TITLE="Within, with a comma"'), range(7, 'CLASS="ad"')];
    const list = playlist(['', '', '', '']).replace(
      '#EXTINF',
      `#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n${ranges.join('')}#EXTINF`,
    );
    const { url } = await station((path) => (path === 'a.m3u8' ? list : segmentOf(path)));
    expectTitles((await titlesOf(`${url}/a.m3u8`)).titles, [
      [0, 'Before'],
      [3, 'Within, with a comma'],
    ]);
  });

  it('come from timed ID3 in its segments', async () => {
    const whole = withTimedId3(Buffer.concat(segments), [
      [2.4, 'Erster'],
      [6.4, 'Zweiter ❤'],
    ]);
    const { url } = await station((path) => {
      if (path === 'a.m3u8') return '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nall.ts\n#EXT-X-ENDLIST\n';
      return path === 'all.ts' ? whole : undefined;
    });
    const { titles, has } = await titlesOf(`${url}/a.m3u8`);
    expect(has).toBe(true);
    expectTitles(titles, [
      [1, 'Erster'],
      [5, 'Zweiter ❤'],
    ]);
  });

  it('of a live playlist are followed through a master playlist, whatever names its playlists have', async () => {
    let first = 0;
    const names = ['A', 'A', 'B', 'B', 'C'];
    const made = await station((path) => {
      if (path === 'tv') return '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=300000\nlow/list\n';
      if (path === 'low/list') {
        const isLast = first + 3 >= names.length;
        return playlist(names.slice(first, first + 3), isLast ? '#EXT-X-ENDLIST\n' : '', first);
      }
      // The window moves on when its last segment was taken.
      if (path === `low/part${first + 2}.ts` && first + 3 < names.length) first++;
      return segmentOf(path);
    });
    // Not at the pace of a broadcast, the encoder may be a segment ahead of what a playlist says.
    const { titles } = await titlesOf(`${made.url}/tv`);
    expectTitles(
      titles,
      [
        [0, 'A'],
        [4, 'B'],
        [8, 'C'],
      ],
      3,
    );
    expect(made.requests.filter((path) => path === 'low/list').length).toBeLessThan(20);
  });

  it('of a file on this host are read, too', async () => {
    await writeFile(join(folder, 'eine Liste.m3u8'), playlist(['Uno', 'Due']));
    expectTitles((await titlesOf(join(folder, 'eine Liste.m3u8'))).titles, [
      [0, 'Uno'],
      [2, 'Due'],
    ]);
  });

  it('may be missing: a playlist that cannot be read again harms nothing', async () => {
    // One look at the picture, one encoder.
    let asked = 0;
    const list = playlist(['One', 'Two']);
    const made = await station((path) => {
      if (path !== 'a.m3u8') return segmentOf(path);
      return ++asked <= 2 ? list : undefined;
    });
    expect((await titlesOf(`${made.url}/a.m3u8`)).titles).toEqual([]);
    expect(asked).toBeGreaterThan(2);
  });
});

describe('readHlsPlaylist', () => {
  it('takes anything', () => {
    for (const text of [
      '',
      '\0\xff',
      '#EXTM3U\n#EXTINF:,\n\n#EXT-X-DATERANGE:X-TITLE="a"\n#EXTINF:-5,x\nhttp://[::1/\n',
    ]) {
      expect(readHlsPlaylist(text, 'http://host/a')).toMatchObject({ segments: [], dated: [] });
    }
  });
});

describe('titleOfId3', () => {
  it('reads each version and encoding, and nothing that is cut', () => {
    const tag = id3Tag('Lied');
    expect(titleOfId3(tag)).toBe('Lied');
    for (let length = 0; length < tag.length - 2; length++) expect(titleOfId3(tag.subarray(0, length))).toBeUndefined();
    const frame = (id: string, encoding: number, text: Buffer) => {
      const head = Buffer.alloc(11);
      head.write(id, 'latin1');
      head.writeUInt32BE(text.length + 1, 4);
      head[10] = encoding;
      return Buffer.concat([head, text]);
    };
    const frames = Buffer.concat([
      frame('TPE1', 0, Buffer.from('Bj\xf6rk', 'latin1')),
      frame('TIT2', 1, Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('Jóga\0', 'utf16le')])),
    ]);
    const head = Buffer.from([...Buffer.from('ID3'), 3, 0, 0, 0, 0, 0, frames.length]);
    expect(titleOfId3(Buffer.concat([head, frames]))).toBe('Björk - Jóga');
  });
});

describe("ffmpeg's log", () => {
  it('tells the title of an input from those of its tracks and of the output', () => {
    const textsOf = (lines: readonly string[]) => {
      const log = new EncoderLog();
      log.push(lines.map((line) => `[info] ${line}\n`).join(''));
      return Object.fromEntries(log.texts);
    };
    const track = ['  Stream #0:0: Audio: aac', '    Metadata:', '      title           : Commentary'];
    const output = ["Output #0, asf, to 'pipe:1':", '  Metadata:', '    title           : Other'];
    expect(textsOf(["Input #0, matroska,webm, from 'a':", ...track, ...output])).toEqual({});
    const own = ['  Metadata:', '    title           : Film: the sequel ', '    ARTIST          : Somebody'];
    expect(textsOf(["Input #0, matroska,webm, from 'a':", ...own, ...track, ...output])).toEqual({
      title: 'Film: the sequel',
      artist: 'Somebody',
    });
    expect(textsOf(["Input #0, ogg, from 'a':", ...track])).toEqual({ title: 'Commentary' });
  });
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { execa } from 'execa';
import { addInputOptions, type InputOptions } from '../../src/cli/input-options.js';
import { expandInputs } from '../../src/cli/inputs.js';
import { type OpenedInput, openInput } from '../../src/cli/open-input.js';
import { Reporter } from '../../src/cli/reporter.js';
import type { AsfEvent } from '../../src/media/events.js';
import { decode, ffmpegPath, fileOf } from '../capture/support.js';
import { newFolder, removeFolders } from './run.js';

afterAll(removeFolders);

/** Parses options as a command does. */
function optionsOf(...args: string[]): InputOptions {
  return addInputOptions(new Command()).parse(args, { from: 'user' }).opts<InputOptions>();
}

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=25'];
const SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440'];

describe('several inputs', () => {
  let folder: string;
  const made = async (name: string, ...args: string[]) => {
    const path = join(folder, name);
    await execa(ffmpegPath, ['-v', 'error', '-y', ...args, path]);
    return path;
  };

  beforeAll(() => {
    folder = newFolder();
  });

  /** Reads everything, and does something after as many packets. */
  async function read({ source }: OpenedInput, after = Number.POSITIVE_INFINITY, act: () => void = () => {}) {
    const events: AsfEvent[] = [];
    let packets = 0;
    for await (const event of source) {
      events.push(event);
      if (event.type === 'packet' && ++packets === after) act();
    }
    return events;
  }

  it('with other sizes, and without sound or picture, become one stream that a decoder takes without a complaint', async () => {
    const inputs = [
      await made('1.mp4', ...PICTURE, ...SOUND, '-t', '1', '-c:v', 'mpeg4'),
      await made('2.mp4', '-f', 'lavfi', '-i', 'testsrc=size=320x200:rate=15', '-t', '1', '-c:v', 'mpeg4'),
      await made('3.mp3', ...SOUND, '-t', '1'),
    ];
    const options = optionsOf(...inputs.flatMap((input) => ['-i', input]));
    const events = await read(await openInput(options, [], new Reporter({ quiet: true })));
    expect(events.filter(({ type }) => type === 'header')).toHaveLength(1);
    expect(events.filter(({ type }) => type === 'end')).toEqual([{ type: 'end', moreEntries: false, reason: 0 }]);
    const { frames, complaints } = await decode(fileOf(events));
    expect(complaints).toBe('');
    const [picture, sound] = [frames.get(0)!, frames.get(1)!];
    expect(picture.at(-1)! - picture[0]!).toBeGreaterThan(2.8);
    for (const times of [picture, sound]) {
      const steps = times.slice(1).map((time, index) => time - times[index]!);
      expect(Math.min(...steps)).toBeGreaterThan(0);
      expect(Math.max(...steps)).toBeLessThan(0.25);
    }
  });

  it('pause to the picture of the moment and go on, with a filler while nothing is there', async () => {
    const input = await made('4.mp4', ...PICTURE, ...SOUND, '-t', '60', '-c:v', 'mpeg4');
    const options = optionsOf('-i', input, '--control', '/unused', '--filler', 'bars');
    const opened = await openInput(options, [], new Reporter({ quiet: true }));
    const story: unknown[] = [];
    const act = async () => {
      const rundown = opened.rundown!;
      await rundown.pause();
      story.push(rundown.status);
      await rundown.resume();
      story.push(rundown.status);
      await opened.source.close();
    };
    let acting: Promise<void> | undefined;
    const events = await read(opened, 20, () => {
      acting = act();
    });
    await acting;
    expect(story).toMatchObject([{ state: 'paused' }, { state: 'playing', number: 1 }]);
    expect(events.filter(({ type }) => type === 'header')).toHaveLength(1);
    const { complaints } = await decode(fileOf(events));
    expect(complaints).toBe('');
  });

  it('are the media files of a folder in the order of their names, or the entries of a list', async () => {
    const media = join(folder, 'media');
    mkdirSync(join(media, 'more.mp4'), { recursive: true });
    for (const name of ['b10.mp4', 'b9.MKV', 'a.wmv', 'cover.jpg', 'notes.txt']) writeFileSync(join(media, name), '');
    const named = (...names: string[]) => names.map((name) => ({ input: join(media, name) }));
    expect(await expandInputs([media], optionsOf())).toEqual(named('a.wmv', 'b9.MKV', 'b10.mp4'));
    expect(await expandInputs([media], optionsOf('--copy'))).toEqual(named('a.wmv'));
    const list = join(media, 'list.m3u');
    writeFileSync(list, '#EXTM3U\n#EXTINF:1,One\nb10.mp4\nhttp://radio.example/\n');
    expect(await expandInputs(['test', list], optionsOf())).toEqual([
      { input: 'test' },
      { input: join(media, 'b10.mp4'), title: 'One' },
      { input: 'http://radio.example/' },
    ]);
    const segments = join(media, 'live.m3u8');
    writeFileSync(segments, '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n');
    expect(await expandInputs([segments], optionsOf())).toEqual([{ input: segments }]);
    await expect(expandInputs([join(media, 'more.mp4')], optionsOf())).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
  });
});

import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AsideSink } from '../../src/cli/aside-sink.js';
import { carry } from '../../src/cli/carry.js';
import { Interruption } from '../../src/cli/program.js';
import { pullServeCommand } from '../../src/cli/pull-serve.js';
import { pushCommand } from '../../src/cli/push.js';
import { relayCommand } from '../../src/cli/relay.js';
import { Reporter } from '../../src/cli/reporter.js';
import { WmError } from '../../src/errors.js';
import { ArchiveSink } from '../../src/media/archive.js';
import type { AsfEvent, AsfSink, AsfSource } from '../../src/media/events.js';
import { ServerStation } from '../server/station.js';
import { testHeader, testPacket } from '../support/stream.js';
import { HEADER, media } from '../wmsp/client-support.js';
import { newFolder, readBack, removeFolders, runCommand, runProgram } from './run.js';

const URL_OF_NOBODY = 'http://127.0.0.1:1/x';

afterAll(removeFolders);

function asfFile(packets = 20): string {
  const path = join(newFolder(), 'in.asf');
  writeFileSync(path, Buffer.concat([HEADER.bytes, ...media(packets)]));
  return path;
}

describe('wmpush', () => {
  it('pushes a file, records it, and says so', async () => {
    const station = await ServerStation.open();
    const url = `http://127.0.0.1:${station.port}/live`;
    const archive = join(newFolder(), 'out.asf');
    const file = asfFile();
    const { events, error, log } = await runCommand(
      pushCommand(),
      '--json',
      '-i',
      file,
      '--copy',
      '--archive',
      archive,
      url,
    );
    await station.close();
    expect(error).toBeUndefined();
    expect(events.map(({ event }) => event).filter((event) => event !== 'stats')).toEqual(['ready', 'done']);
    expect(events.find(({ event }) => event === 'ready')).toMatchObject({
      url,
      startedAt: expect.any(Number),
      packetSize: 400,
      streams: [{}, {}],
    });
    expect(events.at(-1)).toMatchObject({ packets: 20, mediaSeconds: 1.9, bytes: expect.any(Number) });
    expect(events.at(-1)?.['streams']).toMatchObject([
      { number: 1, type: 'video', codec: 'WMV2', expectedBitrate: 300_000, objects: 20, dropped: 0, missing: 0 },
      { number: 2, type: 'audio', expectedBitrate: 64_000, objects: 0 },
    ]);
    expect(log).toMatch(/^ {2}1 video WMV2: 20 frames \(\d+ key frames\), [\d.]+ kbit\/s of 300 kbit\/s$/m);
    expect(log).toContain(`Pushing video WMV2 + audio WMA 2 (364 kbit/s) to ${url}\n`);
    expect(await readBack(archive)).toMatchObject({ shape: 'H 20 E0', warnings: [] });
  });

  it('keeps an existing archive, and numbers the new one; --force replaces it', async () => {
    const station = await ServerStation.open();
    const archive = join(newFolder(), 'film.asf');
    writeFileSync(archive, 'a film');
    const file = asfFile();
    const url = `http://127.0.0.1:${station.port}/kept`;
    const args = ['--json', '-i', file, '--copy', '--archive', archive, url];
    const { events, error } = await runCommand(pushCommand(), ...args);
    expect(error).toBeUndefined();
    const numbered = archive.replace('.asf', '-2.asf');
    expect(events.at(-1)).toMatchObject({ event: 'done', files: [{ path: numbered, packets: 20 }] });
    expect(readFileSync(archive, 'latin1')).toBe('a film');
    expect(await readBack(numbered)).toMatchObject({ shape: 'H 20 E0' });
    const forced = await runCommand(pushCommand(), ...args, '--force');
    expect(forced.events.at(-1)).toMatchObject({ files: [{ path: archive }] });
    await station.close();
  });

  it.each([
    ['a stray word', [URL_OF_NOBODY, 'film.mp4'], 'film.mp4'],
    ['a stray word before those of ffmpeg', [URL_OF_NOBODY, 'film.mp4', '--', '-vf', 'hflip'], 'film.mp4'],
  ])('rejects %s, which would be an output of ffmpeg', async (_, args, word) => {
    const { error } = await runCommand(pushCommand(), ...args);
    expect(error).toMatchObject({ code: 'WM_USAGE', message: expect.stringContaining(`"${word}"`) });
    expect((error as WmError).message).toContain('-i');
  });

  it('pushes several files as one stream of several entries, and skips a missing one', async () => {
    const station = await ServerStation.open();
    const archive = join(newFolder(), 'out.asf');
    const inputs = ['-i', asfFile(5), '-i', '/nowhere.asf', '-i', asfFile(8)];
    const args = ['--json', '--copy', ...inputs, '--archive', archive, `http://127.0.0.1:${station.port}/live`];
    const { events, error } = await runCommand(pushCommand(), ...args);
    await station.close();
    expect(error).toBeUndefined();
    const warnings = events.filter(({ event }) => event === 'warning').map(({ message }) => message);
    expect(warnings).toContainEqual(expect.stringContaining('/nowhere.asf is skipped'));
    expect(events.at(-1)).toMatchObject({ event: 'done', packets: 13, sent: 13, dropped: 0 });
    expect(await readBack(archive)).toMatchObject({ shape: 'H 5 E0' });
    expect(await readBack(archive.replace('.asf', '-2.asf'))).toMatchObject({ shape: 'H 8 E0' });
  });

  it('plays a folder, names what it could not play at the end, and exits with its code', async () => {
    const station = await ServerStation.open();
    const folder = newFolder();
    for (const name of ['1.asf', '3.asf']) writeFileSync(join(folder, name), readFileSync(asfFile(5)));
    writeFileSync(join(folder, '2.asf'), 'nonsense');
    const args = ['--json', '--copy', '-i', folder, `http://127.0.0.1:${station.port}/folder`];
    const { events, error, log, exitCode } = await runCommand(pushCommand(), ...args);
    await station.close();
    expect([error, exitCode]).toEqual([undefined, 65]);
    const broken = join(folder, '2.asf');
    expect(events.at(-1)).toMatchObject({ event: 'done', packets: 10, failedInputs: [{ input: broken }] });
    expect(log).toContain(`  ${broken} was not played: ${broken} cannot be played`);
  });

  it.each(['--title', '--author', '--copyright', '--comment'])(
    'rejects a %s that fits no header in one short sentence, before anything is opened',
    async (option) => {
      const long = [option, 'x'.repeat(40_000), '--ffmpeg', '/nowhere', URL_OF_NOBODY];
      for (const input of [[], ['--copy', '-i', '/nowhere.asf']]) {
        const { error } = await runCommand(pushCommand(), ...input, ...long);
        expect(error).toMatchObject({
          exitCode: 2,
          message: `${option} has 40000 characters; an ASF header holds at most 32766.`,
        });
      }
      expect((await runCommand(pullServeCommand(), ...long.slice(0, -1))).error).toMatchObject({ exitCode: 2 });
    },
  );

  it.each([
    ['--copy'],
    ['--copy', '-i', 'x.asf', '--size', '640x360'],
    ['--copy', '-i', 'x.asf', '--fps', '25'],
    ['--copy', '-i', 'x.asf', '--video-bitrate', '300k'],
    ['--copy', '-i', 'x.asf', '--audio-bitrate', '64k'],
    ['--copy', '-i', 'x.asf', '--key-frame-interval', '2'],
    ['--copy', '-i', 'x.asf', '--input-format', 'asf'],
    ['--copy', '-i', 'x.asf', '--packet-size', '800'],
    ['--copy', '-i', 'x.asf', '--no-video'],
    ['--copy', '-i', 'x.asf', '--no-audio'],
    ['--copy', '-i', 'x.asf', '--', '-an'],
  ])('rejects %j', async (...args) => {
    const sentence = args.length === 1 ? /--copy needs --input/ : /--copy sends packets unchanged, so .* no effect/;
    const refused = expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(sentence) });
    expect((await runCommand(pushCommand(), URL_OF_NOBODY, ...args)).error).toEqual(refused);
    expect((await runCommand(pullServeCommand(), ...args, '--http-port', '0')).error).toEqual(refused);
  });

  it('begins another archive at the limits, and refuses limits without one', async () => {
    const station = await ServerStation.open();
    const archive = join(newFolder(), 'out.asf');
    const url = `http://127.0.0.1:${station.port}/limited`;
    const args = ['--json', '-i', 'synthetic:', '-t', '4', '--archive-time', '1.5', url];
    const { events, error } = await runCommand(pushCommand(), '--archive', archive, ...args);
    await station.close();
    expect(error).toBeUndefined();
    const { files } = events.at(-1) as unknown as { files: Array<{ path: string }> };
    expect(files.length).toBeGreaterThan(1);
    for (const { path } of files) expect(await readBack(path)).toMatchObject({ warnings: [], live: false });
    expect((await runCommand(pushCommand(), ...args)).error).toMatchObject({
      code: 'WM_USAGE',
      message: 'Limits of a recording need --archive, the file to record to.',
    });
  });

  it('does not show the password of a URL', async () => {
    const url = 'http://me:secret@127.0.0.1:1/x';
    const file = asfFile();
    for (const [command, ...args] of [
      [pushCommand(), '-i', file, '--copy', url],
      [relayCommand(), file, url],
      [relayCommand(), '--retry', '0', url, join(newFolder(), 'out.asf')],
    ] as const) {
      const { error, log, output } = await runCommand(command, '--json', '-v', ...args);
      expect(error).toMatchObject({ code: 'WM_UNREACHABLE' });
      expect(`${String(error)}${log}${output}`).not.toContain('secret');
    }
  });

  it('does not show an unescaped password, or one in place of a file', async () => {
    for (const args of [
      ['-i', asfFile(), '--copy', 'http://me:sec/ret@127.0.0.1:1/x'],
      ['-i', 'http://me:sec,ret@127.0.0.1:1/x.wmv', '--copy', URL_OF_NOBODY],
    ]) {
      const { error, log, output } = await runCommand(pushCommand(), '--json', '-v', ...args);
      expect(error).toBeInstanceOf(WmError);
      expect(`${String(error)}${log}${output}`).not.toContain('ret@');
    }
  });

  it.each([
    [['--user', 'anna'], 'WM_USAGE', 'There is no password for the user anna: WMCAST_PASSWORD gives it.'],
    [['--ca', fileURLToPath(import.meta.url)], 'WM_CONFIG', 'holds no certificate in PEM form'],
  ])('cannot use %j', async (args, code, message) => {
    const { error } = await runCommand(pushCommand(), ...args, URL_OF_NOBODY);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('does not overwrite its input, whatever its name', async () => {
    const file = asfFile();
    const before = readFileSync(file);
    const names = [file, join(newFolder(), 'link.asf'), join(newFolder(), 'hard.asf')];
    symlinkSync(file, names[1]!);
    linkSync(file, names[2]!);
    for (const name of names) {
      const copied = await runCommand(pushCommand(), '-i', file, '--copy', '--archive', name, URL_OF_NOBODY);
      expect(copied.error).toMatchObject({ code: 'WM_USAGE', message: expect.stringContaining(name) });
      const further = ['--archive', name, URL_OF_NOBODY, '--', '-i', `file:${file}`];
      expect((await runCommand(pushCommand(), ...further)).error).toMatchObject({ code: 'WM_USAGE' });
      expect((await runCommand(relayCommand(), file, name)).error).toMatchObject({ code: 'WM_USAGE' });
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('reports an empty input, and contacts no server', async () => {
    const file = asfFile();
    writeFileSync(file, '');
    const { error } = await runCommand(pushCommand(), '-i', file, '--copy', URL_OF_NOBODY);
    expect(error).toMatchObject({ code: 'WM_BAD_INPUT', message: `${file} is empty.` });
  });

  it('ends soon with 143 at SIGTERM, though the server accepts and never answers', async () => {
    const server = createServer();
    const connection = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/x`;
    const running = runCommand(pushCommand(), '-i', asfFile(), '--copy', url);
    const socket = await connection;
    process.emit('SIGTERM');
    const { error, exitCode } = await running;
    expect([error, exitCode]).toEqual([undefined, 143]);
    // In a process of its own, the command would have ended.
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it('ends with 130 at SIGINT, though nobody writes into the pipe that it reads', async () => {
    const pipe = join(newFolder(), 'pipe.asf');
    execFileSync('mkfifo', [pipe]);
    const running = runProgram(pushCommand(), '-i', pipe, '--copy', URL_OF_NOBODY);
    process.emit('SIGINT');
    const { exitCode, log } = await running;
    expect([exitCode, log]).toEqual([130, expect.not.stringContaining('Error')]);
  });
});

describe('wmpull-serve', () => {
  it('ends with 143 at SIGTERM, though nobody writes into the pipe that it reads', async () => {
    const pipe = join(newFolder(), 'pipe.asf');
    execFileSync('mkfifo', [pipe]);
    const args = ['-i', pipe, '--copy', '--host', '127.0.0.1', '--http-port', '0'];
    const running = runProgram(pullServeCommand(), ...args);
    process.emit('SIGTERM');
    expect(await running).toMatchObject({ exitCode: 143, log: expect.not.stringContaining('Error') });
  });
});

describe('carrying', () => {
  function sourceOf(...events: AsfEvent[]): AsfSource {
    return {
      async *[Symbol.asyncIterator]() {
        yield* events;
      },
      close: () => Promise.resolve(),
    };
  }

  async function carried(source: AsfSource, sinks: AsfSink[]) {
    const told: unknown[] = [];
    const carrying = async () => {
      const reporter = new Reporter({ quiet: true });
      const onEnd = (_: unknown, failed: boolean) => told.push(failed);
      const openSinks = () => sinks;
      const interruption = new Interruption();
      await carry({ source, openSinks, reporter, interruption, name: 'x', onReady: () => {}, onEnd });
    };
    const { error } = await runCommand(pushCommand().action(carrying), URL_OF_NOBODY);
    return { error, told };
  }

  const stream: AsfEvent[] = [
    { type: 'header', header: testHeader() },
    { type: 'packet', packet: testPacket(0) },
    { type: 'end', moreEntries: false, reason: 0 },
  ];

  it('closes the archive though the push cannot be closed, and reports that', async () => {
    const closed: string[] = [];
    const broken: AsfSink = { write: () => {}, close: () => Promise.reject(new Error('gone')) };
    const archive: AsfSink = { write: () => {}, close: async () => void closed.push('archive') };
    expect(await carried(sourceOf(...stream), [broken, archive])).toMatchObject({
      error: { message: 'gone' },
      told: [true],
    });
    expect(closed).toEqual(['archive']);
  });

  it('reports the original failure when closing fails because of it', async () => {
    const broken: AsfSink = {
      write: () => Promise.reject(new Error('first')),
      close: () => Promise.reject(new Error('second')),
    };
    expect((await carried(sourceOf(...stream), [broken])).error).toMatchObject({ message: 'first' });
  });

  it('treats a source that ends before its header as bad input', async () => {
    const { error, told } = await carried(sourceOf({ type: 'end', moreEntries: false, reason: 0 }), []);
    expect(error).toMatchObject({ code: 'WM_BAD_INPUT' });
    expect(told).toEqual([true]);
  });

  it('waits only for a while after a signal for a sink that does not close', async () => {
    const closed: string[] = [];
    const other: AsfSink = { write: () => {}, close: async () => void closed.push('other') };
    let begun = () => {};
    const closing = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const hanging: AsfSink = {
      write: () => {},
      close: () => {
        begun();
        return new Promise<void>(() => {});
      },
    };
    const running = carried(sourceOf(...stream), [hanging, other]);
    await closing;
    process.emit('SIGTERM');
    expect(await running).toMatchObject({ error: undefined, told: [false] });
    expect(closed).toEqual(['other']);
  });
});

describe('an archive beside a push', () => {
  const [header, packet] = [
    { type: 'header', header: testHeader() },
    { type: 'packet', packet: testPacket(0) },
  ] as const;
  let warned: string[];
  const warn = (message: string) => void warned.push(message);

  beforeEach(() => {
    warned = [];
  });

  it('that cannot be begun ends the push', async () => {
    const sink = new AsideSink(
      { write: () => Promise.reject(new Error('no such folder')), close: async () => {} },
      warn,
    );
    await expect(sink.write(header)).rejects.toThrow('no such folder');
    expect(warned).toEqual([]);
  });

  it('that fails later does not, but the command does', async () => {
    let asked = 0;
    const write = (event: AsfEvent) => {
      asked++;
      return event.type === 'header' ? Promise.resolve() : Promise.reject(new Error('The disk is full.'));
    };
    const sink = new AsideSink({ write, close: async () => {} }, warn);
    await sink.write(header);
    await sink.write(packet);
    expect(sink.write(packet)).toBeUndefined();
    expect(asked).toBe(2);
    expect(warned).toEqual(['The disk is full. The push goes on without it.']);
    await expect(sink.close()).rejects.toThrow('The disk is full.');
  });

  it('whose disk hangs from the beginning does not', async () => {
    const open = () => new Promise<never>(() => {});
    const hanging = new ArchiveSink(join(newFolder(), 'x.asf'), { patience: 3_100, open });
    const sink = new AsideSink(hanging, warn);
    await sink.write(header);
    expect(sink.write(packet)).toBeUndefined();
    expect(warned[0]).toMatch(/has not answered for 3\.1 s.* The push goes on without it\.$/);
    await expect(sink.close()).rejects.toMatchObject({ code: 'WM_DISK' });
  });
});

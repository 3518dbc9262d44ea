import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AsfHeader, parseHeader } from '../../src/asf/header.js';
import { OnDemandFiles } from '../../src/media/on-demand/files.js';
import type { Program } from '../../src/playback/content.js';
import { type Entry, type FileEntry, headerOf } from '../../src/playback/entry.js';
import { genIdOf } from '../../src/playback/entry-ids.js';
import { JoinedProgram } from '../../src/server/content/joined.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import type { WmspClientOptions } from '../../src/wmsp/client/options.js';
import { type TestHeaderOptions, testHeader, testPacket } from '../support/stream.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, NEW, PLAY, tokenOf } from '../wmsp/station.js';
import { ServerStation } from './station.js';

const STEP = 100;

function recording(packets: number, options: TestHeaderOptions): Buffer {
  const { packetSize, streams } = testHeader(options);
  const body = Array.from(
    { length: packets },
    (_each, number) => testPacket(number * STEP, { key: true, number, packetSize, stream: streams[0]!.number }).bytes,
  );
  return Buffer.concat([testHeader(options).bytes, ...body]);
}

let server: ServerStation;
let folder: string;
const warnings: string[] = [];

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'wmcast-')));
  const parts = [
    recording(5, { title: 'one' }),
    recording(6, { title: 'two', packetSize: 700 }),
    recording(7, { title: 'three', video: false }),
  ];
  await writeFile(join(folder, 'joined.wmv'), Buffer.concat(parts));
  await writeFile(join(folder, 'single.wmv'), recording(4, { title: 'single' }));
  server = await ServerStation.open({ content: { folder } }, { warning: (text) => warnings.push(text) });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
  expect(warnings).toEqual([]);
});

/** Plays to the end; returns the title and the number of packets of each entry. */
async function play(path: string, options: Partial<WmspClientOptions> = {}): Promise<string[]> {
  const url = `mmsh://127.0.0.1:${server.port}${path}`;
  const entries: { title: string; packets: number }[] = [];
  for await (const event of new WmspClient({ url, speed: 5, ...options })) {
    if (event.type === 'header') entries.push({ title: titleOf(event.header), packets: 0 });
    else if (event.type === 'packet') entries.at(-1)!.packets++;
  }
  return entries.map(({ title, packets }) => `${title} ${packets}`);
}

function titleOf({ objects }: AsfHeader): string {
  const found = objects.find(({ type }) => type === 'contentDescription');
  return found?.type === 'contentDescription' ? found.title : '';
}

/** Returns the titles of the entry that a player names by the tokens of a Play, and of the one that it gets instead. */
async function entered(...tokens: string[]): Promise<string> {
  const peer = await server.peer();
  const pragma = tokens.map((token) => `Pragma: ${token}`);
  peer.request('GET /joined.wmv HTTP/1.1', NEW, 'Host: x', ...PLAY, ...BOTH_STREAMS, ...pragma);
  const titles = await peer.until((bytes) => {
    const packets = wirePackets(parseResponse(bytes)?.body ?? Buffer.alloc(0));
    // A machine that is busy may have sent the next entries too.
    const first = packets.findIndex(({ id }) => id === 'D');
    const headers = packets.slice(0, Math.max(first, 0)).filter(({ id }) => id === 'H');
    return first === -1 ? undefined : headers.map(({ payload }) => titleOf(parseHeader(payload)));
  });
  return titles.join();
}

const ALL = ['one 5', 'two 6', 'three 7'];

describe('a file that joins recordings with other streams or another packet size', () => {
  it('is played to its end, an entry for each', async () => {
    expect(await play('/joined.wmv')).toEqual(ALL);
  });

  it('is entered where a player skips to', async () => {
    expect(await entered('playlist-seek-id=65537, pl-offset=0')).toBe('two');
    expect(await entered('playlist-seek-id=65537, pl-offset=1')).toBe('two,three');
    expect(await entered('playlist-seek-id=65537, pl-offset=-1')).toBe('two,one');
    expect(await entered('playlist-seek-id=655360001, pl-offset=0')).toBe('one');
  });

  it('is described as a playlist, and a single recording as a file', async () => {
    const features = async (path: string) =>
      tokenOf(await server.ask(`GET ${path} HTTP/1.1`, NEW, 'Host: x'), 'features');
    expect(await features('/joined.wmv')).toContain('playlist');
    expect(await features('/single.wmv')).not.toContain('playlist');
  });
});

describe('a playlist of such files', () => {
  let files: OnDemandFiles;
  const warned: string[] = [];
  const list = ['joined.wmv', 'single.wmv', 'joined.wmv'];

  /** A playlist, which knows nothing of recordings. */
  async function inner(): Promise<Program> {
    const open = async (id: number): Promise<FileEntry> => ({
      ...{ kind: 'file', id, noSkip: id === 3 },
      file: await files.acquire(join(folder, list[id - 1]!)),
      ...(id === 3 ? { begin: 200, duration: 600 } : {}),
    });
    let current = await open(1);
    const go = async (id: number) => {
      if (list[id - 1] === undefined) return undefined;
      files.release(current.file);
      current = await open(id);
      return current;
    };
    return {
      playlist: true,
      get current() {
        return current;
      },
      canSkip: (offset) => list[current.id - 1 + offset] !== undefined && current.noSkip !== true,
      next: () => go(current.id + 1),
      previous: () => go(current.id - 1),
      seek: (id, offset) => go(id + offset),
      close: () => files.release(current.file),
    };
  }

  const openAt = (entry: number, reached = entry) =>
    JoinedProgram.open({ entry, reached }, { files, onWarning: (text) => warned.push(text) }, async (place) => {
      const program = await inner();
      if (place.entry > 1) await program.seek(place.entry, 0);
      return program;
    });

  const shown = (entry: Entry | undefined) => entry && `${genIdOf(entry)} ${titleOf(headerOf(entry)!)}`;

  beforeEach(() => {
    files = new OnDemandFiles();
  });
  afterEach(async () => {
    await files.close();
    expect(warned).toEqual([]);
  });

  it('goes through the recordings of each file, forwards and backwards, with ids that rise', async () => {
    const program = await openAt(1);
    const seen: Entry[] = [program.current];
    for (let entry = await program.next(); entry; entry = await program.next()) seen.push(entry);
    expect(seen.map(shown)).toEqual(['1 one', '65537 two', '131073 three', '2 single', '3 one', '65539 two']);
    expect(seen.map(({ id }) => id)).toEqual(seen.map(({ id }) => id).sort((a, b) => a - b));
    // The last entry of the list takes 600 ms from 200 ms on.
    expect(seen.slice(-2)).toMatchObject([
      { begin: 200, duration: 600 },
      { begin: 0, duration: 300 },
    ]);
    const back = [];
    for (let entry = await program.previous(); entry; entry = await program.previous()) back.push(shown(entry));
    expect(back).toEqual(['3 one', '2 single', '1 one']);
    program.close();
  });

  it('goes to the recording that an id means, and from there on', async () => {
    const program = await openAt(1);
    const [, two, three] = [program.current, await program.next(), await program.next()];
    expect(shown(await program.seek(two!.id, 0))).toBe('65537 two');
    expect(shown(await program.seek(two!.id, 1))).toBe('131073 three');
    expect(shown(await program.seek(three!.id, 1))).toBe('2 single');
    expect(shown(await program.seek(three!.id, 0))).toBe('131073 three');
    expect(shown(await program.seek(two!.id, -1))).toBe('1 one');
    expect(shown(await program.seek(3, 0))).toBe('3 one');
    // What must not be skipped is not left for its next recording either.
    expect(program.canSkip(1)).toBe(false);
    expect(await program.seek(3, 1)).toBeUndefined();
    program.close();
    expect(shown((await openAt(two!.id)).current)).toBe('65537 two');
  });

  it('goes on with the next entry if a recording cannot be opened', async () => {
    const program = await openAt(1);
    const acquire = files.acquire.bind(files);
    files.acquire = async (path, at = 0) => {
      if (at > 0) throw new Error('The disk fails.');
      return acquire(path, at);
    };
    expect(shown(await program.next())).toBe('2 single');
    program.close();
    expect(warned.splice(0)).toEqual([
      `A recording inside ${join(folder, 'joined.wmv')} cannot be played: The disk fails.`,
    ]);
  });
});

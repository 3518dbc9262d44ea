import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ruleOf } from '../../src/auth/access.js';
import { SessionRegistry } from '../../src/playback/registry.js';
import { Hls, type HlsRequest } from '../../src/server/hls/hls.js';
import { PublishingPoints } from '../../src/server/points/points.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

const RULE = ruleOf({});
let folder: string;
let hls: Hls;
let registry: SessionRegistry;
let places: number;
const points = new PublishingPoints({ newPoints: 'any' });
const warnings: string[] = [];

/** A program that plays ffmpeg: it writes a playlist and a segment into its folder, and reads until its input ends. */
const ENCODER = `for last; do :; done
echo $$ >> "$TEST/runs"
dirname "$last" > "$TEST/folder"
printf 'segment' > "$(dirname "$last")/s000000.ts"
printf '#EXTM3U\\ns000000.ts\\n' > "$last.tmp"
mv "$last.tmp" "$last"
exec cat > "$TEST/input"`;

async function open(script: string, { most = 1, linger = 200 } = {}): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-hls-test-'));
  const program = join(folder, 'ffmpeg');
  await writeFile(program, `#!/bin/sh\nTEST=${folder}\n${script}\n`);
  await chmod(program, 0o755);
  registry = new SessionRegistry();
  places = 0;
  warnings.length = 0;
  const onWarning = (message: string) => warnings.push(message);
  hls = new Hls({ points: () => most, registry, onWarning, ffmpeg: async () => program, linger });
}

afterEach(async () => {
  hls.close();
  for (const point of points) await point.broadcast.close();
  await rm(folder, { recursive: true, force: true });
});

function live(path: string) {
  const point = points.get(path) ?? points.configure(path);
  point.broadcast.write({ type: 'header', header: testHeader() });
  for (let time = 0; time < 4_000; time += 100)
    point.broadcast.write({ type: 'packet', packet: testPacket(time, { key: time % 1_000 === 0 }) });
  return point;
}

function request(path: string, name = 'index.m3u8', remoteAddress = '192.0.2.1'): HlsRequest {
  const facts = { transport: 'tcp', client: 'Phone/1', remoteAddress, user: undefined };
  const take = () => {
    places++;
    return { leave: () => void places-- };
  };
  return { point: points.get(path)!, name, facts, rule: RULE, take, signal: AbortSignal.timeout(20_000) };
}

const runs = async () => (await readFile(join(folder, 'runs'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
const isAlive = (pid: string) => {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
};

describe('a stream for browsers', () => {
  it('is encoded once for all viewers, from the first to the last, each of whom takes a place', async () => {
    await open(ENCODER, { linger: 1_500 });
    const { broadcast } = live('/live');
    const files = [request('/live'), request('/live'), request('/live', 'index.m3u8', '192.0.2.2')];
    const bodies = await Promise.all(files.map((each) => hls.file(each)));
    expect(bodies.map(String)).toEqual(Array<string>(3).fill('#EXTM3U\ns000000.ts\n'));
    expect(String(await hls.file(request('/live', 's000000.ts')))).toBe('segment');
    await expect(hls.file(request('/live', 's999999.ts'))).rejects.toMatchObject({ status: 404 });
    expect([(await runs()).length, registry.players, places, broadcast.players]).toEqual([1, 2, 2, 1]);
    expect((await registry.list()).sessions[0]).toMatchObject({ protocol: 'HLS', path: '/live', bytes: 45 });
    const [pid] = await runs();
    const made = (await readFile(join(folder, 'folder'), 'utf8')).trim();
    await until('the end', () => registry.players === 0 && broadcast.players === 0 && !isAlive(pid!));
    expect(places).toBe(0);
    await until(
      'its folder to go',
      async () => (await readFile(join(made, 'index.m3u8')).catch(() => 'gone')) === 'gone',
    );
    const { bytes } = testHeader();
    expect((await readFile(join(folder, 'input'))).subarray(0, 24)).toEqual(bytes.subarray(0, 24));
  });

  it('starts again for the next viewer after the source has ended and come back', async () => {
    await open(ENCODER, { linger: 5_000 });
    const { broadcast } = live('/live');
    await hls.file(request('/live'));
    await broadcast.close();
    await expect(hls.file(request('/live'))).rejects.toMatchObject({ kind: 'offline' });
    live('/live');
    expect(String(await hls.file(request('/live')))).toContain('#EXTM3U');
    expect(await runs()).toHaveLength(2);
  });

  it('is refused when too many points are encoded, and to a viewer whose session was ended', async () => {
    await open(ENCODER, { linger: 5_000 });
    live('/live');
    live('/other');
    await hls.file(request('/live'));
    await expect(hls.file(request('/other'))).rejects.toMatchObject({ kind: 'busy' });
    const { sessions } = await registry.list();
    expect(await registry.end(sessions[0]!.id)).toBe(true);
    await expect(hls.file(request('/live'))).rejects.toMatchObject({ kind: 'forbidden' });
    expect(String(await hls.file(request('/live', 'index.m3u8', '192.0.2.9')))).toContain('#EXTM3U');
  });

  it('says why it cannot be shown, when the encoder fails', async () => {
    await open('echo "Unknown encoder libx264" >&2; exit 1', { linger: 5_000 });
    live('/live');
    await expect(hls.file(request('/live'))).rejects.toMatchObject({
      kind: 'offline',
      message: expect.stringContaining('Unknown encoder libx264'),
    });
  });
});

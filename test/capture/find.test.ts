import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type FindFfmpegOptions, findFfmpeg, inspectFfmpegs } from '../../src/capture/find.js';
import { slowness } from '../support/patience.js';
import { fakeFfmpeg, script, temporaryFolder } from './support.js';

const folder = temporaryFolder();

beforeAll(async () => {
  for (const name of ['good', 'bare', 'broken', 'other']) await mkdir(join(folder, name));
  await script(
    join(folder, 'good', 'ffmpeg'),
    fakeFfmpeg({ version: '7.1-good', encoders: ['wmv1', 'wmv2', 'wmav2', 'libx264'] }),
  );
  await script(join(folder, 'bare', 'ffmpeg'), fakeFfmpeg({ encoders: ['libx264', 'wmav2'], muxers: ['mp4'] }));
  await script(join(folder, 'broken', 'ffmpeg'), 'echo "error while loading shared libraries" >&2; exit 127');
  await script(join(folder, 'other', 'hello'), 'echo hello');
});

const at = (...names: string[]) => names.map((name) => join(folder, name)).join(delimiter);

/** No environment of this machine, no packages. */
const options = (path: string, more: FindFfmpegOptions = {}): FindFfmpegOptions => ({
  packages: [],
  ...more,
  env: { PATH: path, ...more.env },
});

describe('findFfmpeg', () => {
  it('takes the first on PATH that can encode Windows Media, and reports those it skipped', async () => {
    const found = await findFfmpeg(options(at('nowhere', 'bare', 'broken', 'good')));
    expect(found).toMatchObject({
      path: join(folder, 'good', 'ffmpeg'),
      version: '7.1-good',
      origin: 'PATH',
      encoders: ['wmv1', 'wmv2', 'wmav2'],
    });
    expect(found.tried.map(({ problem }) => problem)).toEqual([
      'lacks the wmv2 encoder and the asf muxer',
      'fails (exit code 127: error while loading shared libraries)',
      undefined,
    ]);
  });

  it('prefers --ffmpeg to FFMPEG_PATH to PATH to the packages', async () => {
    const named = join(folder, 'named');
    const fromEnvironment = join(folder, 'from-environment');
    const packed = join(folder, 'packed');
    for (const path of [named, fromEnvironment, packed]) await script(path, fakeFfmpeg());
    const packages = [{ origin: 'ffmpeg-static' as const, load: async () => packed }];
    const all = options(at('good'), { explicit: named, env: { FFMPEG_PATH: fromEnvironment }, packages });
    expect((await findFfmpeg(all)).origin).toBe('--ffmpeg');
    expect((await findFfmpeg({ ...all, explicit: undefined })).origin).toBe('FFMPEG_PATH');
    expect((await findFfmpeg(options(at('good'), { packages }))).origin).toBe('PATH');
    expect(await findFfmpeg(options(at('bare'), { packages }))).toMatchObject({
      origin: 'ffmpeg-static',
      path: packed,
    });
    expect((await inspectFfmpegs(all)).map(({ origin }) => origin)).toEqual([
      '--ffmpeg',
      'FFMPEG_PATH',
      'PATH',
      'ffmpeg-static',
    ]);
  });

  it.each([
    ['missing', 'does not exist'],
    ['bare/ffmpeg', 'lacks the wmv2 encoder and the asf muxer'],
    ['other/hello', 'does not answer as ffmpeg does'],
    ['other', 'is not a file'],
  ])('rejects a named one that is unusable (%s) although there is another', async (name, problem) => {
    const path = join(folder, name);
    await expect(findFfmpeg(options(at('good'), { explicit: path }))).rejects.toMatchObject({
      code: 'WM_FFMPEG_MISSING',
      message: `The ffmpeg named by --ffmpeg cannot be used: ${path} ${problem}.`,
    });
    await expect(findFfmpeg(options(at('good'), { env: { FFMPEG_PATH: path } }))).rejects.toThrow(/FFMPEG_PATH/);
  });

  it('rejects a named file that is not executable', async () => {
    const path = join(folder, 'plain');
    await writeFile(path, 'text');
    await expect(findFfmpeg(options('', { explicit: path }))).rejects.toThrow(/plain is not executable/);
  });

  it('looks for a name without a folder on PATH', async () => {
    await script(join(folder, 'good', 'ffmpeg-old'), fakeFfmpeg({ version: '4.1' }));
    expect(await findFfmpeg(options(at('good'), { explicit: 'ffmpeg-old' }))).toMatchObject({ version: '4.1' });
    await expect(findFfmpeg(options(at('good'), { explicit: 'ffmpeg-none' }))).rejects.toThrow(
      /ffmpeg-none does not exist/,
    );
  });

  it('gives up on one that does not answer', async () => {
    const path = await script(join(folder, 'hangs'), 'exec sleep 30');
    const begin = performance.now();
    await expect(findFfmpeg(options('', { explicit: path, probeTimeout: 200 }))).rejects.toThrow(
      /did not answer within 0.2 s/,
    );
    expect(performance.now() - begin).toBeLessThan(5000 * slowness());
  });

  it('lists everything it tried when nothing is usable', async () => {
    const packages = [
      { origin: 'ffmpeg-static' as const, load: () => Promise.reject(new Error('Cannot find package')) },
      { origin: '@ffmpeg-installer/ffmpeg' as const, load: async () => undefined },
    ];
    await expect(findFfmpeg(options('', { packages }))).rejects.toMatchObject({
      code: 'WM_FFMPEG_MISSING',
      exitCode: 69,
      message:
        'No usable ffmpeg was found: ffmpeg is not on PATH; ffmpeg-static is not installed; @ffmpeg-installer/ffmpeg is not installed.',
    });
  });

  it('finds the ffmpeg of the npm package', async () => {
    const found = await findFfmpeg({ env: { PATH: '' } });
    expect(found.origin).toMatch(/^(ffmpeg-static|@ffmpeg-installer\/ffmpeg)$/);
    expect(found.encoders).toEqual(expect.arrayContaining(['wmv1', 'wmv2', 'msmpeg4', 'msmpeg4v2', 'wmav1', 'wmav2']));
    expect(found.tried.at(-1)?.path).toBe(found.path);
  });
});

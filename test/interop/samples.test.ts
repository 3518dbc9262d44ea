import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parse } from 'yaml';
import { readMetafile } from '../../src/announce/asx-read.js';
import { parseConfig } from '../../src/server/config-file.js';
import { testTls } from '../support/tls.js';
import { stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { itNeeds, program } from './support/programs.js';

const samples = fileURLToPath(new URL('../../samples/', import.meta.url));
const bin = fileURLToPath(new URL('../../bin/wmcast.js', import.meta.url));
const read = (name: string) => readFile(join(samples, name), 'utf8');

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'wmcast-samples-'));
});
afterAll(async () => {
  await stopAll();
  await rm(work, { recursive: true, force: true });
});

describe('the samples', () => {
  itNeeds([program('bash'), program('ffmpeg')], 'inject a test stream into a player', async () => {
    const player = ['ffmpeg', '-loglevel', 'error', '-i', '{url}', '-t', '2', '-f', 'null', '-'];
    const { exitCode, stderr } = await execa('bash', [join(samples, 'ci/inject.sh'), ...player], {
      env: { WMCAST: `${process.execPath} ${bin}`, WMPUSH_OPTIONS: '--size 320x240' },
      reject: false,
      timeout: 90_000,
    });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  });

  itNeeds([program('bash')], 'pass on the exit code of a player that fails', async () => {
    const { exitCode } = await execa('bash', [join(samples, 'ci/inject.sh'), 'sh', '-c', 'exit 7'], {
      env: { WMCAST: `${process.execPath} ${bin}` },
      reject: false,
      timeout: 90_000,
    });
    expect(exitCode).toBe(7);
  });

  it('contain only workflow commands that a shell can read', async () => {
    const workflow = parse(await read('ci/github-workflow.yml')) as { jobs: { play: { steps: { run?: string }[] } } };
    const runs = workflow.jobs.play.steps.flatMap(({ run }) => run ?? []);
    expect(runs.join('\n')).toContain('samples/ci/inject.sh');
    for (const run of runs) expect(await execa('bash', ['-n', '-c', run])).toMatchObject({ exitCode: 0 });
  });

  it('play a stream in a single-file program', async () => {
    const folder = join(work, 'program');
    await mkdir(join(folder, 'node_modules', 'wmcast'), { recursive: true });
    // The package as an importer sees it, without packing it.
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, { default: string }>;
    };
    const target = join(root, exports['.']!.default);
    await writeFile(
      join(folder, 'node_modules', 'wmcast', 'package.json'),
      JSON.stringify({ name: 'wmcast', type: 'module', exports: './index.js' }),
    );
    await writeFile(join(folder, 'node_modules', 'wmcast', 'index.js'), `export * from ${JSON.stringify(target)};\n`);
    await writeFile(join(folder, 'program.mjs'), await read('program.mjs'));
    const { stdout, exitCode } = await execa(process.execPath, ['program.mjs'], {
      cwd: folder,
      reject: false,
      timeout: 60_000,
    });
    expect(stdout).toMatch(/^[1-9]\d* packets came from mmsh:/);
    expect(exitCode).toBe(0);
  });

  it.each(['radio', 'tv', 'archive', 'distribution'])('start a server with config/%s.yaml', async (name) => {
    const [cert, key] = [join(work, 'cert.pem'), join(work, 'key.pem')];
    await Promise.all([writeFile(cert, testTls.cert), writeFile(key, testTls.key)]);
    const users = join(work, 'users.yaml');
    await execa(process.execPath, [bin, 'users', 'add', `studio-${name}`, '--file', users, '--password-stdin'], {
      input: 'secret-word-1\n',
    });
    const text = (await read(`config/${name}.yaml`))
      .replaceAll('/etc/wmcast/users.yaml', users)
      .replaceAll('/etc/wmcast/cert.pem', cert)
      .replaceAll('/etc/wmcast/key.pem', key)
      .replace(/\/srv\/\w+/g, work)
      .replace(/port: (8443|7007)/g, 'port: 0')
      .replace('http://origin.example:8080', 'http://127.0.0.1:9')
      .replace('msbd://origin.example:7007', 'msbd://127.0.0.1:9');
    expect(
      parseConfig(text, name).points.length + Number(parseConfig(text, name).content !== undefined),
    ).toBeGreaterThan(0);
    const file = join(work, `${name}.yaml`);
    await writeFile(file, text);
    const server = await Server.start('--config', file);
    expect(server.port).toBeGreaterThan(0);
    await server.stop();
  });

  it('announce with an .asx that players can read', async () => {
    const announced = readMetafile(await read('announcement.asx'));
    expect(announced?.entries.map(({ refs }) => refs.length)).toEqual([2, 1]);
  });

  it('use only existing options in the systemd units', async () => {
    for (const unit of await readdir(join(samples, 'systemd'))) {
      const text = (await read(join('systemd', unit))).replaceAll('\\\n', ' ');
      const [, command, line] = /^ExecStart=\/usr\/bin\/env (wm\w+) (.*)$/m.exec(text)!;
      const called = command === 'wmpush' ? ['push'] : [line!.split(' ')[0]!];
      const { stdout } = await execa(process.execPath, [bin, ...called, '--help']);
      const options = line!.split(/ -- /)[0]!.match(/(?<= )--?[a-z][\w-]*/g) ?? [];
      expect(options.length).toBeGreaterThan(0);
      for (const option of options) expect(stdout).toContain(option);
    }
  });

  itNeeds([program('systemd-analyze')], 'are units that systemd takes', async () => {
    for (const unit of await readdir(join(samples, 'systemd'))) {
      const { all } = await execa('systemd-analyze', ['verify', '--man=no', join(samples, 'systemd', unit)], {
        reject: false,
        all: true,
        timeout: 30_000,
      });
      expect(all).not.toContain(unit);
    }
  });
});

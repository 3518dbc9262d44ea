import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { serveCommand } from '../../src/cli/serve.js';
import { ServerStation } from './station.js';

const root = new URL('../../', import.meta.url);
const INSTRUCTIONS = new Set(['FROM', 'WORKDIR', 'COPY', 'RUN', 'USER', 'EXPOSE', 'HEALTHCHECK', 'CMD']);

/** Returns the instructions of the Dockerfile, each with its arguments. */
async function instructions(): Promise<ReadonlyArray<readonly [name: string, rest: string]>> {
  const text = await readFile(new URL('samples/docker/Dockerfile', root), 'utf8');
  const lines = text.replace(/\\\n/g, ' ').split('\n');
  return lines
    .filter((line) => /^[^#\s]/.test(line))
    .map((line) => {
      const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      return [name, rest] as const;
    });
}

const rest = async (name: string) => (await instructions()).flatMap(([each, text]) => (each === name ? [text] : []));

describe('the Dockerfile', () => {
  it('has instructions that Docker knows, with pinned images and an unprivileged user', async () => {
    for (const [name] of await instructions()) expect(INSTRUCTIONS).toContain(name);
    for (const image of await rest('FROM')) expect(image).toMatch(/^node:\d+-slim(?: AS \w+)?$/);
    expect(await rest('USER')).toEqual(['node']);
    const { engines } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
      engines: { node: string };
    };
    const major = Number(/\d+/.exec(engines.node)![0]);
    for (const image of await rest('FROM')) expect(Number(/\d+/.exec(image)![0])).toBeGreaterThanOrEqual(major);
  });

  it('copies what exists, and nothing that was built outside of it', async () => {
    const names = (await instructions()).flatMap(([name, text]) =>
      name === 'FROM' ? [/ AS (\w+)$/.exec(text)?.[1]] : [],
    );
    for (const copy of await rest('COPY')) {
      const [, from] = /^--from=(\w+) /.exec(copy) ?? [];
      if (from !== undefined) expect(names).toContain(from);
      else await access(new URL(copy.split(' ')[0]!, root));
    }
    const ignored = (await readFile(new URL('.dockerignore', root), 'utf8')).split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', 'node_modules', 'dist']));
    // What `npm pack` takes along has to be there after `npm ci`.
    const { files, scripts } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
      files: string[];
      scripts: Record<string, string>;
    };
    expect(scripts['prepare']).toContain('build');
    for (const file of files.filter((each) => each !== 'dist' && each !== 'man')) await access(new URL(file, root));
  });

  it('runs a command and options that there are', async () => {
    const [program, command, ...args] = JSON.parse((await rest('CMD'))[0]!) as string[];
    expect([program, command]).toEqual(['wmcast', 'serve']);
    const known = serveCommand().options.map(({ long }) => long);
    for (const option of args.filter((arg) => arg.startsWith('--'))) expect(known).toContain(option);
  });

  it('notices whether the server works', async () => {
    const [check] = await rest('HEALTHCHECK');
    const [, , code] = JSON.parse(check!.replace(/^CMD /, '')) as [string, string, string];
    const station = await ServerStation.open({ admin: { host: '127.0.0.1', port: 0 } });
    const status = async (port: number) => {
      const child = spawn(process.execPath, ['-e', code.replace('8081', String(port))], {
        cwd: fileURLToPath(root),
        stdio: 'ignore',
      });
      return (await once(child, 'exit'))[0] as number;
    };
    const port = station.server.ports.admin!;
    expect(await status(port)).toBe(0);
    await station.close();
    expect(await status(port)).toBe(1);
  });
});

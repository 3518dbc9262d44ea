import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));

async function run(name: string, ...args: string[]) {
  const { stdout, stderr, exitCode } = await execa(process.execPath, [bin(name), ...args], {
    reject: false,
    timeout: 30_000,
  });
  return { stdout, stderr, exitCode };
}

describe('the commands, started as by a shell', () => {
  it.each(['wmcast', 'wmpush', 'wmpull-serve'])('%s --version names the package, Node.js and ffmpeg', async (name) => {
    const { stdout, exitCode } = await run(name, '--version');
    expect(stdout).toMatch(/^\d+\.\d+\.\d+ \(Node\.js \d+\.\d+\.\d+, (ffmpeg \S+|no ffmpeg)\)$/);
    expect(exitCode).toBe(0);
  });

  it.each([
    'serve',
    'push',
    'pull-serve',
    'pull',
    'relay',
    'probe',
    'announce',
    'logs',
    'users',
    'init',
    'config',
    'completion',
    'doctor',
  ])('wmcast lists %s, and has help for it', async (command) => {
    const [list, help, same] = await Promise.all([
      run('wmcast', '--help'),
      run('wmcast', command, '--help'),
      run('wmcast', 'help', command),
    ]);
    expect(list.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(help.stdout).toMatch(new RegExp(`^Usage: wmcast ${command} `));
    expect(same.stdout).toBe(help.stdout);
    expect([list.exitCode, help.exitCode, same.exitCode]).toEqual([0, 0, 0]);
  });

  it('an unknown command is answered with the nearest one, and exit code 2', async () => {
    const { stderr, exitCode } = await run('wmcast', 'porbe');
    expect(stderr).toContain('Did you mean probe?');
    expect(exitCode).toBe(2);
  });
});

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parse } from 'yaml';
import { itNeeds, type Requirement } from './support/programs.js';
import { freePort } from './support/vlc-server.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const samples = join(root, 'samples/testing');
const INSTALL = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
/** In ms; the registry may be slow. */
const TIMEOUT = 80_000;

/** The samples install packages, from npm's cache where it has them. */
const registry: Requirement = {
  name: 'the npm registry',
  present: () => process.env['npm_config_offline'] !== 'true',
};

let work: string;
let tarball: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'wmcast-packed-'));
  // The suite has built the package; its scripts would build it again.
  await execa('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], { cwd: root });
  const [name] = await readdir(work);
  tarball = join(work, name!);
}, TIMEOUT);

afterAll(() => rm(work, { recursive: true, force: true }));

/** Copies a sample and installs it with the packed package. @returns its folder */
async function installed(sample: string): Promise<string> {
  const folder = join(work, sample);
  await cp(join(samples, sample), folder, { recursive: true });
  const path = join(folder, 'package.json');
  const text = await readFile(path, 'utf8');
  expect(text).toContain('"wmcast": "latest"');
  await writeFile(path, text.replace('"wmcast": "latest"', `"wmcast": ${JSON.stringify(`file:${tarball}`)}`));
  await execa('npm', INSTALL, { cwd: folder, timeout: TIMEOUT });
  return folder;
}

describe('the packed package', () => {
  for (const sample of ['jest', 'vitest', 'commonjs']) {
    itNeeds([registry], `passes the tests of samples/testing/${sample}`, async () => {
      const folder = await installed(sample);
      const { exitCode, all } = await execa('npm', ['test'], {
        cwd: folder,
        all: true,
        reject: false,
        timeout: TIMEOUT,
      });
      expect({ exitCode, all }).toMatchObject({ exitCode: 0, all: expect.stringMatching(/2 passed|pass 2/) });
    });
  }

  itNeeds([registry], 'does what the workflow for GitHub asks of it', async () => {
    // The sample for CommonJS needs no other packages.
    const folder = join(work, 'commonjs');
    const text = await readFile(join(samples, 'github-workflow.yml'), 'utf8');
    const { jobs } = parse(text) as { jobs: { streams: { steps: { run?: string }[] } } };
    const script = jobs.streams.steps.flatMap(({ run }) => run ?? []).find((run) => run.includes('wmpush'))!;
    const port = await freePort();
    // GitHub stops at the first command that fails.
    const { exitCode, all } = await execa('bash', ['-e', '-c', script.replaceAll('8080', String(port))], {
      cwd: folder,
      all: true,
      reject: false,
      timeout: TIMEOUT,
    });
    expect({ exitCode, all }).toEqual({ exitCode: 0, all: expect.anything() });
    for (const report of ['server.xml', 'encoder.xml']) {
      expect(await readFile(join(folder, report), 'utf8')).toContain(' failures="0"');
    }
  });
});

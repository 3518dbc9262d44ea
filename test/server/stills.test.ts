import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broadcast } from '../../src/media/broadcast.js';
import { Stills } from '../../src/server/stills.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

let folder: string;
const open: Stills[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wmcast-stills-'));
});
afterEach(async () => {
  for (const each of open.splice(0)) each.close();
  await rm(folder, { recursive: true });
});

/** A point that is live, with some packets from a key frame on. */
function point() {
  const broadcast = new Broadcast();
  broadcast.write({ type: 'header', header: testHeader() });
  for (let time = 0; time < 3_000; time += 100) {
    broadcast.write({ type: 'packet', packet: testPacket(time, { key: time % 1_000 === 0 }) });
  }
  return { broadcast };
}

/** Stills by a program that plays ffmpeg: it notes each run, and what it was given. */
async function stills(script: string, more: { readonly lifetime?: number; readonly timeout?: number } = {}) {
  const program = join(folder, 'ffmpeg');
  await writeFile(program, `#!/bin/sh\necho run >> ${folder}/runs\n${script}\n`);
  await chmod(program, 0o755);
  const made = new Stills({ enabled: () => true, ffmpeg: async () => program, ...more });
  open.push(made);
  const runs = async () => (await readFile(join(folder, 'runs'), 'utf8').catch(() => '')).split('\n').length - 1;
  return { made, runs };
}

const JPEG = "cat > /dev/null; printf '\\377\\330picture\\377\\331'";

describe('a still', () => {
  it('is made once for everybody who asks, from a file that begins with a key frame', async () => {
    const { made, runs } = await stills(`cat > ${folder}/input; ${JPEG.replace('cat > /dev/null; ', '')}`);
    const live = point();
    const [first, second] = await Promise.all([made.of(live), made.of(live)]);
    expect(first).toBe(second);
    expect(first!.toString('latin1')).toBe('\xff\xd8picture\xff\xd9');
    expect(await made.of(live)).toBe(first);
    expect(await runs()).toBe(1);
    const { header } = live.broadcast;
    const input = await readFile(join(folder, 'input'));
    expect(input.subarray(0, header!.bytes.length)).toEqual(header!.bytes);
    // The last key frame with something after it, at 2000 ms, and what follows.
    expect((input.length - header!.bytes.length) / header!.packetSize).toBe(10);
  });

  it('is made again when it is old, and not for a point that is offline or has no video', async () => {
    const { made, runs } = await stills(JPEG, { lifetime: 0 });
    const live = point();
    await made.of(live);
    await made.of(live);
    expect(await runs()).toBe(2);
    await live.broadcast.close();
    expect([made.offers(live), await made.of(live)]).toEqual([false, undefined]);
    const sound = new Broadcast();
    sound.write({ type: 'header', header: testHeader({ video: false }) });
    expect([made.offers({ broadcast: sound }), await made.of({ broadcast: sound })]).toEqual([false, undefined]);
    expect(await runs()).toBe(2);
  });

  it('is given up after its time, and a codec that cannot be decoded is not tried at once again', async () => {
    const { made, runs } = await stills('exec sleep 60', { timeout: 300, lifetime: 0 });
    const live = point();
    expect(await made.of(live)).toBeUndefined();
    expect(await made.of(live)).toBeUndefined();
    expect(await runs()).toBe(1);
  });

  it('is absent if the program writes no whole picture, or too much', async () => {
    expect(await (await stills("cat > /dev/null; printf '\\377\\330half'")).made.of(point())).toBeUndefined();
    expect(await (await stills('exec yes')).made.of(point())).toBeUndefined();
  });

  it('is made by two programs at the same time at most', async () => {
    const { made, runs } = await stills(`while [ ! -e ${folder}/go ]; do sleep 0.02; done; ${JPEG}`);
    const all = [1, 2, 3, 4, 5].map(() => made.of(point()));
    await until('two programs', async () => (await runs()) === 2);
    await writeFile(join(folder, 'go'), '');
    expect((await Promise.all(all)).filter((picture) => picture !== undefined)).toHaveLength(5);
    expect(await runs()).toBe(5);
  });

  it('is not offered without a program, or when it is turned off', async () => {
    const none = new Stills({ enabled: () => true, ffmpeg: () => Promise.reject(new Error('none')) });
    const live = point();
    expect(none.offers(live)).toBe(true);
    expect(await none.of(live)).toBeUndefined();
    expect(none.offers(live)).toBe(false);
    expect(new Stills({ enabled: () => false }).offers(live)).toBe(false);
  });
});

import type { ArchiveFile } from '../../src/media/archive.js';
import { PointArchive } from '../../src/server/points/archive.js';
import { temporaryFolder } from '../capture/support.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

const folder = temporaryFolder();
const never = new Promise<never>(() => {});
let warnings: string[];

beforeEach(() => {
  warnings = [];
});

const onWarning = (message: string) => void warnings.push(message);
const header = { type: 'header', header: testHeader() } as const;
const packet = (time: number) => ({ type: 'packet', packet: testPacket(time, { key: true }) }) as const;
const warned = () => until('a warning', () => warnings.length > 0);

describe('the archive of a point, on a disk that does not answer', () => {
  it('delays no client for its file, warns once, and continues without it', async () => {
    const archive = new PointArchive(folder, '/live', { onWarning, patience: 50, openFile: () => never });
    expect(archive.write(header)).toBeUndefined();
    expect(archive.write(packet(0))).toBeUndefined();
    await warned();
    expect(warnings[0]).toMatch(/has not answered .* The broadcast goes on without it\.$/);
    for (let time = 0; time < 50_000; time += 10) expect(archive.write(packet(time))).toBeUndefined();
    await archive.close();
    expect(warnings).toHaveLength(1);
  });

  it('does not use that disk again before it has answered', async () => {
    const elsewhere = `${folder}/elsewhere`;
    let asked = 0;
    const openFile = () => {
      asked++;
      return never;
    };
    for (let push = 0; push < 3; push++) {
      // On a busy machine it takes a while until the disk is used at all.
      const archive = new PointArchive(elsewhere, '/live', { onWarning, patience: push === 0 ? 1_000 : 30, openFile });
      archive.write(header);
      const before = warnings.length;
      await until('another warning', () => warnings.length > before);
      await archive.close();
    }
    expect(asked).toBe(1);
    expect(warnings[2]).toContain('still does not answer');
  });

  it('makes a push wait for a slow disk only for a while', async () => {
    const file: ArchiveFile = {
      write: async (_bytes, _offset, length) => ({ bytesWritten: length }),
      truncate: async () => {},
      sync: async () => {},
      stat: async () => ({ isFile: () => true }),
      close: async () => {},
    };
    const slow = {
      ...file,
      write: () =>
        new Promise<{ bytesWritten: number }>((resolve) => setTimeout(() => resolve({ bytesWritten: 1 }), 5)),
    };
    const archive = new PointArchive(`${folder}/slow`, '/live', {
      onWarning,
      patience: 100,
      openFile: async () => slow,
    });
    archive.write(header);
    const waits: Array<Promise<void>> = [];
    for (let time = 0; waits.length === 0; time += 10) {
      const wait = archive.write(packet(time));
      if (wait) waits.push(wait);
    }
    await Promise.all(waits);
    await warned();
    expect(warnings).toHaveLength(1);
    expect(archive.write(packet(0))).toBeUndefined();
    await archive.close();
  });
});

import { readdir } from 'node:fs/promises';
import type { ArchiveFile } from '../../src/media/archive.js';
import { PointArchive } from '../../src/server/points/archive.js';
import { DiskGate } from '../../src/server/points/disk-gate.js';
import { temporaryFolder } from '../capture/support.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

const folder = temporaryFolder();
const never = new Promise<never>(() => {});
let warnings: string[];
let disks: DiskGate;

beforeEach(() => {
  warnings = [];
  disks = new DiskGate();
});

const onWarning = (message: string) => void warnings.push(message);
const header = { type: 'header', header: testHeader() } as const;
const packet = (time: number) => ({ type: 'packet', packet: testPacket(time, { key: true }) }) as const;
const warned = () => until('a warning', () => warnings.length > 0);

describe('the archive of a point, on a disk that does not answer', () => {
  it('delays no client for its file, warns once, and continues without it', async () => {
    const archive = new PointArchive(folder, `${folder}/live.asf`, {
      onWarning,
      patience: 50,
      disks,
      openFile: () => never,
    });
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
      const archive = new PointArchive(elsewhere, `${elsewhere}/live${push}.asf`, {
        onWarning,
        patience: push === 0 ? 1_000 : 30,
        disks,
        openFile,
      });
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
    const archive = new PointArchive(`${folder}/slow`, `${folder}/slow/live.asf`, {
      onWarning,
      patience: 100,
      disks,
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

describe('the disks of archives', () => {
  /** Operations that end when the test says so. */
  class Operations {
    readonly #gate: DiskGate;
    started = 0;
    readonly #ends = new Map<string, Array<() => void>>();

    constructor(threads = 4) {
      this.#gate = new DiskGate(threads);
    }

    run(disk: string, patience = 10_000): Promise<string> {
      const start = () => {
        this.started++;
        return new Promise<string>((resolve) => {
          this.#ends.set(disk, [...(this.#ends.get(disk) ?? []), () => resolve(disk)]);
        });
      };
      const done = this.#gate.run(disk, start, patience);
      done.catch(() => undefined);
      return done;
    }

    end(disk: string): void {
      for (const end of this.#ends.get(disk) ?? []) end();
      this.#ends.delete(disk);
    }
  }

  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('leave threads to the rest of the server, however many of them hang', async () => {
    const operations = new Operations();
    const healthy = operations.run('healthy');
    await settle();
    operations.end('healthy');
    await healthy;
    for (let each = 0; each < 20; each++) void operations.run(`dead ${each}`);
    await settle();
    expect(operations.started).toBe(1 + 2);
    // One that has answered before still does.
    for (let round = 0; round < 10; round++) {
      const again = operations.run('healthy');
      await settle();
      operations.end('healthy');
      await again;
    }
    for (let each = 0; each < 3; each++) void operations.run('healthy');
    await settle();
    expect(operations.started).toBe(1 + 2 + 10 + 1);
  });

  it('are more where the process has more threads: a disk is used although several others never answered', async () => {
    const operations = new Operations(16);
    for (let each = 0; each < 7; each++) void operations.run(`dead ${each}`);
    const healthy = operations.run('healthy', 1_000);
    await settle();
    operations.end('healthy');
    expect(await healthy).toBe('healthy');
  });

  it('fail for those that wait while none answers, and at once where one is known not to', async () => {
    const operations = new Operations();
    const dead = [0, 1, 2, 3].map((each) => operations.run(`dead ${each}`, 50));
    const failures = (await Promise.allSettled(dead)).map((result) => String((result as PromiseRejectedResult).reason));
    expect(failures.filter((each) => each.includes('the disk has not answered for 0.05 s'))).toHaveLength(2);
    expect(failures.filter((each) => each.includes('no disk has answered for 0.05 s'))).toHaveLength(2);
    await expect(operations.run('dead 0')).rejects.toThrow('the disk still does not answer');
    expect(operations.started).toBe(2);
    // Once it has answered, it is used again.
    operations.end('dead 0');
    await settle();
    const again = operations.run('dead 0');
    await settle();
    operations.end('dead 0');
    expect(await again).toBe('dead 0');
  });

  it('are shared in turns by all archives of a folder', async () => {
    const shared = `${folder}/shared`;
    const archives = Array.from(
      { length: 20 },
      (_, each) => new PointArchive(shared, `${shared}/live${each}.asf`, { onWarning, disks }),
    );
    for (const archive of archives) {
      archive.write(header);
      archive.write(packet(0));
    }
    await Promise.all(archives.map((archive) => archive.close()));
    expect(warnings).toEqual([]);
    expect(await readdir(shared)).toHaveLength(20);
  });

  it('do not keep a file that could be opened too late', async () => {
    let closed = false;
    let opened: (file: ArchiveFile) => void = () => undefined;
    const opening = new Promise<ArchiveFile>((resolve) => {
      opened = resolve;
    });
    const archive = new PointArchive(`${folder}/late`, `${folder}/late/live.asf`, {
      onWarning,
      patience: 50,
      disks,
      openFile: () => opening,
    });
    archive.write(header);
    await warned();
    await archive.close();
    const close = async () => {
      closed = true;
    };
    opened({ close } as unknown as ArchiveFile);
    await until('the file to be closed', () => closed);
  });
});

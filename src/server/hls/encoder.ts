import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { orAborted, pause } from '../../abort.js';
import type { AsfHeader } from '../../asf/header.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { Player } from '../../media/group.js';
import { EVERY_STREAM, type PlayerOutput, type PlayerSession } from '../../media/wire.js';
import { Refusal } from '../../refusal.js';
import { plainWire } from '../web/plain-wire.js';

/** How long the first segment may take, in ms. */
const START_PATIENCE = 20_000;
/** How often a file that is still missing is looked for, in ms. */
const LOOK_INTERVAL = 100;
/** The largest segment, in bytes: 2 s, and no more than a few Mbit/s. */
const MAX_SEGMENT = 32 * 1024 * 1024;
const MAX_SAID = 400;

/** The segments of one point for browsers: one ffmpeg, fed like a player, and a folder that goes with it. */
export class HlsEncoder implements PlayerSession {
  readonly output: PlayerOutput;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #broadcast: Broadcast;
  readonly #player: Player;
  readonly #gone = new AbortController();
  readonly #onEnded: () => void;
  #said = '';

  private constructor(program: string, folder: string, broadcast: Broadcast, header: AsfHeader, onEnded: () => void) {
    this.#onEnded = onEnded;
    this.#folder = folder;
    this.#broadcast = broadcast;
    this.#child = spawn(program, argumentsFor(folder, header), {
      stdio: ['pipe', 'ignore', 'pipe'],
      windowsHide: true,
    });
    const { stdin, stderr } = this.#child;
    stdin?.on('error', () => {});
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-MAX_SAID);
    });
    this.#child.on('spawn', () => lower(this.#child.pid));
    this.#child.on('error', () => this.stop());
    this.#child.on('close', () => this.stop());
    this.output = {
      framing: 'stream',
      get backlog() {
        return stdin?.writableLength ?? 0;
      },
      put: ({ bytes }, done) => void stdin?.write(bytes, () => done?.()),
      drained: (then) => void stdin?.once('drain', then),
      destroy: () => this.stop(),
    };
    stdin?.write(header.bytes);
    this.#player = broadcast.join(this, EVERY_STREAM, plainWire(header.packetSize));
  }

  /**
   * Starts to encode a broadcast that is live.
   *
   * @param onEnded called when the broadcast ends
   */
  static async start(program: string, broadcast: Broadcast, onEnded: () => void): Promise<HlsEncoder> {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-hls-'));
    const { header, live } = broadcast;
    if (!header || !live) {
      await rm(folder, { recursive: true, force: true });
      throw new Refusal('offline', 'The stream has ended.');
    }
    return new HlsEncoder(program, folder, broadcast, header, onEnded);
  }

  /** True once it has ended, for whatever reason. */
  get over(): boolean {
    return this.#gone.signal.aborted;
  }

  /** Why it ended, as far as ffmpeg says. */
  get said(): string {
    return this.#said.trim().split('\n').at(-1) ?? '';
  }

  /**
   * Returns the playlist, and waits for its first segment.
   *
   * @param signal ends the wait
   * @throws Refusal `offline` if it does not come in time
   */
  async playlist(signal: AbortSignal): Promise<Buffer> {
    const ends = AbortSignal.any([signal, this.#gone.signal, AbortSignal.timeout(START_PATIENCE)]);
    while (!ends.aborted) {
      const text = await orAborted(readFile(join(this.#folder, 'index.m3u8')), signal).catch(() => undefined);
      if (text) return text;
      await pause(LOOK_INTERVAL, ends);
    }
    signal.throwIfAborted();
    throw new Refusal('offline', `The stream cannot be shown to browsers${this.said === '' ? '' : `: ${this.said}`}.`);
  }

  /** Returns a segment; undefined if it has been deleted, or does not exist. */
  async segment(name: string): Promise<Buffer | undefined> {
    const place = join(this.#folder, name);
    const found = await stat(place).catch(() => undefined);
    return found && found.size <= MAX_SEGMENT ? readFile(place).catch(() => undefined) : undefined;
  }

  /** Another header needs another encoder; the next request of a viewer starts it. */
  changed(): undefined {
    this.stop();
  }

  ended(): void {
    this.stop();
    this.#onEnded();
  }

  /** Ends ffmpeg and deletes its folder. Further calls have no effect. */
  stop(): void {
    if (this.over) return;
    this.#gone.abort();
    if (this.#player) this.#broadcast.leave(this.#player);
    this.#child.kill('SIGKILL');
    void rm(this.#folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
  }
}

function argumentsFor(folder: string, { streams }: AsfHeader): string[] {
  const has = (type: string) => streams.some((stream) => stream.type === type);
  const video = [
    ...['-map', '0:v:0', '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p'],
    ...['-vf', 'scale=trunc(iw/2)*2:trunc(ih/2)*2', '-force_key_frames', 'expr:gte(t,n_forced*2)'],
  ];
  return [
    ...['-hide_banner', '-loglevel', 'error', '-nostdin', '-f', 'asf', '-i', 'pipe:0'],
    ...(has('video') ? video : []),
    ...(has('audio') ? ['-map', '0:a:0', '-c:a', 'aac', '-b:a', '96k', '-ac', '2'] : []),
    ...['-f', 'hls', '-hls_time', '2', '-hls_list_size', '6', '-hls_flags', 'delete_segments+omit_endlist+temp_file'],
    ...['-hls_segment_filename', join(folder, 's%06d.ts'), join(folder, 'index.m3u8')],
  ];
}

/** Media comes first. */
function lower(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

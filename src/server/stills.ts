import { type ChildProcess, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import type { AsfHeader } from '../asf/header.js';
import { writeWhole } from '../asf/whole.js';
import { steadyNow } from '../clock.js';
import type { Broadcast } from '../media/broadcast.js';
import type { BroadcastPacket } from '../media/wire.js';
import { ffmpegOnce } from './ffmpeg.js';

/** How stills are made. */
export interface StillsOptions {
  /** False to make none. */
  readonly enabled: () => boolean;
  /** Returns the path of ffmpeg; rejects without one. */
  readonly ffmpeg?: (() => Promise<string>) | undefined;
  /** How long a still is valid, in ms; default 5000. */
  readonly lifetime?: number;
  /** How long ffmpeg may take, in ms; default 20,000: a busy machine gives it little. */
  readonly timeout?: number;
}

/** What is asked for a still. */
export type StillPoint = { readonly broadcast: Pick<Broadcast, 'live' | 'header' | 'since'> };

interface Still {
  readonly made: Promise<Buffer | undefined>;
  /** When it was asked for, in ms. */
  readonly at: number;
  readonly header: AsfHeader;
}

/** Encoders that run at the same time; further stills wait for their turn. */
const MAX_RUNNING = 2;
/** Stills that may wait; a guide page has 20. */
const MAX_WAITING = 40;
/** A stream that ffmpeg could not decode is tried again after this time, in ms. */
const RETRY = 60_000;
/** The size of what ffmpeg gets and returns, in bytes. */
const MAX_INPUT = 8 * 1024 * 1024;
const MAX_OUTPUT = 512 * 1024;
/** What ffmpeg should get beyond the key frame, so that the frame is complete, in ms. */
const BEYOND = 500;
/** Fits three to a row of a page that is 640 pixels wide. */
const WIDTH = 320;

/**
 * Pictures of what is on air, made by ffmpeg from the newest key frame that the broadcast keeps. Nothing runs unless
 * somebody asks: one ffmpeg for each point at a time, at low priority, and its picture is given to everybody who asks
 * within five seconds.
 */
export class Stills {
  readonly #options: StillsOptions;
  readonly #lifetime: number;
  readonly #stills = new Map<Pick<Broadcast, 'live'>, Still>();
  readonly #waiting: (() => void)[] = [];
  readonly #running = new Set<ChildProcess>();
  #places = MAX_RUNNING;
  #missing: number | undefined;
  #closed = false;

  constructor(options: StillsOptions) {
    this.#options = options;
    this.#lifetime = options.lifetime ?? 5_000;
  }

  /** True if a point can have a still now: it is live, has video, and there is an ffmpeg as far as is known. */
  offers({ broadcast: { live, header } }: StillPoint): boolean {
    if (!this.#options.enabled() || !live || this.#isMissing) return false;
    return header?.streams.some(({ type }) => type === 'video') ?? false;
  }

  /** Returns a JPEG picture; undefined without one: offline, no video, no ffmpeg, or a codec it does not decode. */
  of(point: StillPoint): Promise<Buffer | undefined> {
    if (this.#closed || !this.offers(point)) return Promise.resolve(undefined);
    const { broadcast } = point;
    const header = broadcast.header!;
    const now = steadyNow();
    for (const [other, { at }] of this.#stills) if (now - at > RETRY) this.#stills.delete(other);
    const known = this.#stills.get(broadcast);
    if (known && known.header === header && now - known.at < this.#lifetime) return known.made;
    const packets = packetsToDecode(broadcast.since(0));
    if (packets.length === 0) return known?.made ?? Promise.resolve(undefined);
    const input = fileOf(header, packets);
    const made = input ? this.#make(input) : Promise.resolve(undefined);
    const still = { made, at: now, header };
    this.#stills.set(broadcast, still);
    // Lets a stream that cannot be decoded wait longer than one that can.
    made.then((picture) => {
      if (picture === undefined && this.#stills.get(broadcast) === still)
        this.#stills.set(broadcast, { ...still, at: now + RETRY - this.#lifetime });
    });
    return made;
  }

  /** Ends what runs. */
  close(): void {
    this.#closed = true;
    for (const child of this.#running) child.kill('SIGKILL');
    for (const wake of this.#waiting.splice(0)) wake();
  }

  get #isMissing(): boolean {
    return this.#missing !== undefined && steadyNow() - this.#missing < RETRY;
  }

  async #make(input: Buffer): Promise<Buffer | undefined> {
    if (this.#waiting.length >= MAX_WAITING) return undefined;
    if (this.#places === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#places--;
    try {
      const { ffmpeg = async () => (await ffmpegOnce()).path, timeout = 20_000 } = this.#options;
      const program = await ffmpeg().catch(() => undefined);
      this.#missing = program === undefined ? steadyNow() : undefined;
      return program === undefined || this.#closed ? undefined : await this.#decode(program, input, timeout);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#places++;
    }
  }

  #decode(program: string, input: Buffer, timeout: number): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const child = spawn(program, ARGUMENTS, { stdio: ['pipe', 'pipe', 'ignore'], windowsHide: true });
      this.#running.add(child);
      const output: Buffer[] = [];
      let size = 0;
      const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
      child.on('spawn', () => lower(child.pid));
      child.stdin.on('error', () => {
        // It has its picture, and reads no further.
      });
      child.stdout.on('error', () => {});
      child.stdout.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_OUTPUT) child.kill('SIGKILL');
        else output.push(chunk);
      });
      const over = () => {
        clearTimeout(timer);
        this.#running.delete(child);
        const picture = Buffer.concat(output);
        const isWhole = picture.length > 4 && size <= MAX_OUTPUT && picture.readUInt16BE(picture.length - 2) === 0xffd9;
        resolve(isWhole ? picture : undefined);
      };
      child.on('error', over);
      child.on('close', over);
      child.stdin.end(input);
    });
  }
}

const ARGUMENTS = [
  ...['-hide_banner', '-loglevel', 'quiet', '-nostdin', '-threads', '1', '-f', 'asf', '-i', 'pipe:0'],
  ...['-map', '0:v:0', '-frames:v', '1', '-vf', `scale='min(${WIDTH},iw*max(1,sar))':-2,setsar=1`],
  ...['-q:v', '5', '-f', 'mjpeg', 'pipe:1'],
];

/** Returns the newest packets that begin with a key frame, and hold it completely if possible. */
function packetsToDecode(packets: readonly BroadcastPacket[]): readonly BroadcastPacket[] {
  const newest = packets.at(-1)?.time ?? 0;
  const isStart = ({ cleanStart, keyStreams }: BroadcastPacket) => cleanStart && keyStreams.length > 0;
  const complete = packets.findLastIndex((packet) => isStart(packet) && newest - packet.time >= BEYOND);
  const from = complete === -1 ? packets.findLastIndex(isStart) : complete;
  return from === -1 ? [] : packets.slice(from);
}

/** Returns packets as an ASF file; undefined if they would be too large. */
function fileOf(header: AsfHeader, packets: readonly BroadcastPacket[]): Buffer | undefined {
  const { packetSize, bytes } = header;
  const count = Math.min(packets.length, Math.floor((MAX_INPUT - bytes.length) / packetSize));
  if (count <= 0) return undefined;
  const file = Buffer.allocUnsafe(bytes.length + count * packetSize);
  bytes.copy(file);
  for (const [index, { wire, start }] of packets.slice(0, count).entries()) {
    writeWhole(file, bytes.length + index * packetSize, index === 0 ? start : wire, packetSize);
  }
  return file;
}

/** Media comes first, but at the lowest priority a picture would never be ready where others keep the processors busy. */
function lower(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

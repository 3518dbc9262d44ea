/** The bytes per second of the sound that all tests here decode: 44.1 kHz, two channels, 16 bits. */
export const SOUND_BYTES_PER_SECOND = 44_100 * 2 * 2;

/** Reads the output of ffmpeg's framecrc and framemd5 muxers about decoded pictures and sound, line by line. */
export class FrameCrc {
  /** A checksum for each picture, and for each piece of sound. */
  readonly pictures: string[] = [];
  readonly sounds: string[] = [];
  /** The presentation times of the pictures, in seconds. */
  readonly times: number[] = [];
  /** Width and height in pixels, such as `640x360`. */
  size = '';
  #soundBytes = 0;
  readonly #types = new Map<string, string>();
  readonly #timeBases = new Map<string, number>();

  /** In seconds. */
  get soundSeconds(): number {
    return this.#soundBytes / SOUND_BYTES_PER_SECOND;
  }

  /** Reads a line: `#key stream: value`, or `stream, dts, pts, duration, size, checksum`. */
  take(line: string): void {
    const about = /^#(\w+) (\d+): (.*)$/.exec(line);
    if (about) this.#describe(about[1]!, about[2]!, about[3]!);
    const frame = /^(\d+), *-?\d+, *(-?\d+), *\d+, *(\d+), *(\w+)/.exec(line);
    if (!frame) return;
    const [, stream, time, size, checksum] = frame;
    if (this.#types.get(stream!) === 'video') {
      this.pictures.push(checksum!);
      this.times.push(Number(time) * (this.#timeBases.get(stream!) ?? 0));
    } else {
      this.sounds.push(checksum!);
      this.#soundBytes += Number(size);
    }
  }

  #describe(key: string, stream: string, value: string): void {
    if (key === 'media_type') this.#types.set(stream, value);
    if (key === 'dimensions') this.size = value;
    const base = /^(\d+)\/(\d+)$/.exec(value);
    if (key === 'tb' && base) this.#timeBases.set(stream, Number(base[1]) / Number(base[2]));
  }
}

/**
 * Returns where `part` occurs in `whole` without a gap: the index of its first element, or -1. For checksums of
 * pictures, few of which are equal.
 */
export function indexOfRun(whole: readonly string[], part: readonly string[]): number {
  return whole.findIndex((_, start) => part.every((value, index) => whole[start + index] === value));
}

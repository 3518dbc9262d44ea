import { type Child, type Exit, PATIENCE, within } from './child.js';

/** A real player that plays a URL, and its decoded output so far. */
export abstract class Player {
  readonly name: string;
  /** The number of decoded pictures. */
  abstract readonly frames: number;
  /** The decoded sound, in seconds. */
  abstract readonly soundSeconds: number;
  /** Lines that occur in no undisturbed playback. */
  abstract readonly problems: string[];
  /** The program that decodes; when it ends, the player ends. */
  protected abstract readonly child: Child;
  #firstFrameAt: number | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Waits until that much is decoded. @throws Error if the player ends first, or after `timeout` ms */
  async decodes(frames: number, soundSeconds: number, timeout = PATIENCE): Promise<void> {
    const what = `${frames} pictures and ${soundSeconds} s of sound`;
    const enough = () => (this.frames >= frames && this.soundSeconds >= soundSeconds ? true : undefined);
    try {
      await this.child.until(what, enough, timeout);
    } catch (error) {
      throw new Error(`${this.summary}; ${(error as Error).message}`);
    }
  }

  /** In ms from the start of the program to its first decoded picture. */
  async firstPicture(timeout = PATIENCE): Promise<number> {
    await this.child.until('a picture', () => this.#firstFrameAt ?? this.#noteFirstFrame(), timeout);
    return this.#firstFrameAt! - this.child.startedAt;
  }

  /** Waits for its end. @throws Error after `timeout` ms */
  async ends(timeout = PATIENCE): Promise<Exit> {
    return within(this.child.exited, timeout, () => `${this.summary}; ${this.child.describe('did not end')}`);
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }

  /** True if the program has ended. */
  get ended(): boolean {
    return this.child.exit !== undefined;
  }

  get summary(): string {
    return `${this.name}: ${this.frames} pictures, ${this.soundSeconds.toFixed(1)} s of sound`;
  }

  get log(): string {
    return this.child.describe('');
  }

  #noteFirstFrame(): number | undefined {
    if (this.frames > 0) this.#firstFrameAt = performance.now();
    return this.#firstFrameAt;
  }
}

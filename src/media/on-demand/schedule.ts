/** How fast packets become due, and in which direction. */
export interface ScheduleOptions {
  /** Milliseconds of media in a millisecond; above 0. */
  readonly pace: number;
  /** True if send times fall. */
  readonly backwards: boolean;
  /** Milliseconds of media that are due at once, and by which sending stays ahead. Not used with `acceleration`. */
  readonly burst: number;
  /** AccelBW in bits per second and AccelDuration in ms of media. */
  readonly acceleration: { readonly bitsPerSecond: number; readonly milliseconds: number } | undefined;
  /** A longer step of the send times is a gap in the file and is skipped without waiting, in ms. */
  readonly largestStep: number;
}

/**
 * Send times may go back by this much, and then count as standing still: some files have blocks of audio and of video.
 * In ms.
 */
const LONGEST_BLOCK = 60_000;

/**
 * Computes when packets are due by their send times (asf.md 11). The first ones are due at once, or at the rate of the
 * acceleration, and the rest at the pace of the media after them, so that the player keeps its lead.
 */
export class Schedule {
  readonly #options: ScheduleOptions;
  /** Milliseconds of media so far: the sum of the steps of the send times. */
  #media = 0;
  #lastSendTime: number | undefined;
  #leap: number | undefined;
  /** The time and the media from which the schedule counts. */
  #origin = { time: 0, media: 0 };
  /** Media after the origin that is due together with it. */
  #lead: number;
  /** Bytes since the origin, during acceleration. */
  #bytes = 0;
  #accelerating: boolean;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#accelerating = options.acceleration !== undefined;
    this.#lead = this.#accelerating ? 0 : options.burst;
  }

  /** True while packets are due at the rate of the acceleration. */
  get accelerating(): boolean {
    return this.#accelerating;
  }

  /**
   * Returns when a packet is due, in ms on the clock's scale. Call once for each packet, in order.
   *
   * @param sendTime ms modulo 2^32
   * @param now the time at which the schedule begins
   */
  due(sendTime: number, now: number): number {
    if (this.#lastSendTime === undefined) {
      this.#lastSendTime = sendTime;
      this.#origin = { time: now, media: 0 };
    }
    this.#advance(sendTime);
    const media = this.#media - this.#origin.media;
    const paced = this.#origin.time + Math.max(media - this.#lead, 0) / this.#options.pace;
    return this.#accelerating ? this.#accelerated(media, paced) : paced;
  }

  /** Returns how many ms of media are due up to a time, on average; 0 during acceleration. */
  span(time: number): number {
    if (this.#lastSendTime === undefined) return this.#lead;
    return this.#lead + (time - this.#origin.time) * this.#options.pace - (this.#media - this.#origin.media);
  }

  /** Adds the bytes of a sent packet. */
  sent(size: number): void {
    if (this.#accelerating) this.#bytes += size;
  }

  /** Starts over with a new lead, because the packet that is due was held back so long that the player has run dry. */
  restart(now: number): void {
    this.#origin = { time: now, media: this.#media };
    this.#bytes = 0;
    this.#accelerating = this.#options.acceleration !== undefined;
    this.#lead = this.#accelerating ? 0 : this.#options.burst;
  }

  #advance(sendTime: number): void {
    const { largestStep } = this.#options;
    const step = this.#step(this.#lastSendTime!, sendTime);
    if (step <= 0 && step >= -LONGEST_BLOCK) return;
    if (step > 0 && step <= largestStep) {
      this.#leap = undefined;
      this.#media += step;
      this.#lastSendTime = sendTime;
      return;
    }
    // One packet far from the others is damaged; two are a gap.
    const since = this.#leap === undefined ? Number.POSITIVE_INFINITY : this.#step(this.#leap, sendTime);
    this.#leap = sendTime;
    if (Math.abs(since) > largestStep) return;
    this.#leap = undefined;
    this.#media += Math.max(since, 0);
    this.#lastSendTime = sendTime;
  }

  #step(from: number, to: number): number {
    return (this.#options.backwards ? from - to : to - from) | 0;
  }

  /** Never later than without acceleration: a player may ask for less than the media needs. */
  #accelerated(media: number, paced: number): number {
    const { bitsPerSecond, milliseconds } = this.#options.acceleration!;
    const due = Math.min(this.#origin.time + (this.#bytes * 8000) / bitsPerSecond, paced);
    if (media >= milliseconds) {
      this.#accelerating = false;
      this.#lead = 0;
      this.#origin = { time: due, media: this.#media };
    }
    return due;
  }
}

import type { AsfEvent } from './events.js';

/** How much of a stream has come, by the send times under each header. */
export class MediaTime {
  #before = 0;
  #first: number | undefined;
  #elapsed = 0;

  count(event: AsfEvent): void {
    if (event.type === 'header') {
      this.#before += this.#elapsed;
      this.#elapsed = 0;
      this.#first = undefined;
    } else if (event.type === 'packet') {
      const { sendTime } = event.packet;
      this.#first ??= sendTime;
      this.#elapsed = Math.abs((sendTime - this.#first) | 0);
    }
  }

  get milliseconds(): number {
    return this.#before + this.#elapsed;
  }
}

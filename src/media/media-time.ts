import type { AsfEvent } from './events.js';
import { PacketClock } from './packet-clock.js';

/** Measures how much of a stream has arrived, by the times of its packets under each header. */
export class MediaTime {
  #before = 0;
  #elapsed = 0;
  #clock = new PacketClock();

  count(event: AsfEvent): void {
    if (event.type === 'header') {
      this.#before += this.#elapsed;
      this.#elapsed = 0;
      this.#clock = new PacketClock();
    } else if (event.type === 'packet') {
      this.#elapsed = this.#clock.of(event.packet);
    }
  }

  get milliseconds(): number {
    return this.#before + this.#elapsed;
  }
}

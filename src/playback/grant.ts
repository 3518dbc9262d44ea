import type { AsfHeader } from '../asf/header.js';
import { type Adaptation, type Strain, Thinning } from './adaptation.js';
import { LiveAdaptation } from './live-adaptation.js';
import { NO_STREAMS, type StreamSelection } from './selection.js';

/** The streams that a player asked for, and those of them that it gets. */
export class Grant {
  readonly #adaptation: Adaptation;
  /** For broadcasts over byte streams, once there is one. */
  #live: LiveAdaptation | undefined;
  #isLive = false;
  #asked: StreamSelection = NO_STREAMS;
  #granted: StreamSelection = NO_STREAMS;

  constructor(adaptation: Adaptation = new Thinning()) {
    this.#adaptation = adaptation;
  }

  get asked(): StreamSelection {
    return this.#asked;
  }

  /** Replaced by another object with each change. */
  get granted(): StreamSelection {
    return this.#granted;
  }

  /** True if more and more waits for the player of a broadcast, so that it may get less soon. */
  get isWary(): boolean {
    return this.#isLive && this.#live?.isWary === true;
  }

  /** Returns what the player would get of a selection. */
  of(selection: StreamSelection, header: AsfHeader): StreamSelection {
    return (this.#isLive && this.#live ? this.#live : this.#adaptation).grant(selection, header);
  }

  /** Records the selection that the player asks for. @param header undefined if the player does not know it yet */
  ask(selection: StreamSelection, header: AsfHeader | undefined): void {
    this.#asked = selection;
    this.#granted = header ? this.of(selection, header) : selection;
  }

  /** Records how the player keeps up. @returns true if it gets something else now */
  adapt(strain: Strain, header: AsfHeader | undefined): boolean {
    const before = this.#granted;
    const isLive = strain.switching !== undefined;
    if (isLive !== this.#isLive) {
      this.#isLive = isLive;
      this.#live ??= new LiveAdaptation();
      this.ask(this.#asked, header);
    }
    if (this.#observe(strain)) this.ask(this.#asked, header);
    // Where there is one rate, less of it is all the same.
    return this.#granted !== before;
  }

  #observe({ late = 0, switching, ...strain }: Strain): boolean {
    if (switching === undefined || !this.#live) return this.#adaptation.observe({ ...strain, late });
    return this.#live.observe({ ...strain, late, switching });
  }
}

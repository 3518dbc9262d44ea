import type { AsfHeader } from '../asf/header.js';
import { type Adaptation, type Strain, Thinning } from './adaptation.js';
import { NO_STREAMS, type StreamSelection } from './selection.js';

/** The streams that a player asked for, and those of them that it gets. */
export class Grant {
  readonly #adaptation: Adaptation;
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

  /** Returns what the player would get of a selection. */
  of(selection: StreamSelection, header: AsfHeader): StreamSelection {
    return this.#adaptation.grant(selection, header);
  }

  /** Records the selection that the player asks for. @param header undefined if the player does not know it yet */
  ask(selection: StreamSelection, header: AsfHeader | undefined): void {
    this.#asked = selection;
    this.#granted = header ? this.of(selection, header) : selection;
  }

  /** Records how the player keeps up. @returns true if it gets something else now */
  adapt(strain: Strain, header: AsfHeader | undefined): boolean {
    if (!this.#adaptation.observe(strain)) return false;
    const before = this.#granted;
    this.ask(this.#asked, header);
    // Where there is one rate, less of it is all the same.
    return this.#granted !== before;
  }
}

import type { AsfHeader } from '../asf/header.js';
import { type Adaptation, type Strain, Thinning } from './adaptation.js';
import { NO_STREAMS, type StreamSelection } from './selection.js';

/** The streams that a player asked for, and those that it gets of them. */
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

  /** Another object with each change. */
  get granted(): StreamSelection {
    return this.#granted;
  }

  /** Returns what the player would get of a selection. */
  of(selection: StreamSelection, header: AsfHeader): StreamSelection {
    return this.#adaptation.grant(selection, header);
  }

  /** The player asks for a selection, of a header that it may not know yet. */
  ask(selection: StreamSelection, header: AsfHeader | undefined): void {
    this.#asked = selection;
    this.#granted = header ? this.of(selection, header) : selection;
  }

  /** Takes note of how the player bears what it gets. @returns true if it gets something else now */
  adapt(strain: Strain, header: AsfHeader | undefined): boolean {
    if (!this.#adaptation.observe(strain)) return false;
    this.ask(this.#asked, header);
    return true;
  }
}

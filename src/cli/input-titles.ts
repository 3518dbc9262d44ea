/** The title of an input: from a list, from its metadata, and from what it sends while it plays. */
export class EntryTitle {
  #title: string | undefined;
  readonly #changed: () => void;

  /** @param title from a list */
  constructor(title: string | undefined, changed: () => void) {
    this.#title = title;
    this.#changed = changed;
  }

  get text(): string | undefined {
    return this.#title;
  }

  /** The title in the metadata of the input, which counts less than that in a list. */
  suggest(title: string | undefined): void {
    if (this.#title === undefined && title !== undefined) this.update(title);
  }

  /** The input says that something else plays. */
  update(title: string): void {
    this.#title = title;
    this.#changed();
  }
}

/** Follows the titles of inputs that play in turn: one of them is on the air, others may be read ahead. */
export class AirTitles {
  readonly #onTitle: (title: string) => void;
  #current: EntryTitle | undefined;
  #told: string | undefined;

  constructor(onTitle: (title: string) => void) {
    this.#onTitle = onTitle;
  }

  /** @param title from a list */
  entry(title?: string): EntryTitle {
    const made: EntryTitle = new EntryTitle(title, () => {
      if (made === this.#current) this.#tell();
    });
    return made;
  }

  /** An input goes on the air. The title of the one before it is taken back if it has none. */
  begin(entry: EntryTitle | undefined): void {
    this.#current = entry;
    this.#tell();
  }

  #tell(): void {
    const title = this.#current?.text ?? '';
    if (title === (this.#told ?? '')) return;
    this.#told = title;
    this.#onTitle(title);
  }
}

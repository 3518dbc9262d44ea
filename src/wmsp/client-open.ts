import { readMetafile } from '../announce/asx-read.js';
import { WmError } from '../errors.js';
import type { ClientLink, Described } from './client-link.js';
import { parseWmspUrl, type WmspUrl } from './client-url.js';

/** Content that was found, and the link that describes it. */
export interface Opened {
  readonly link: ClientLink;
  readonly described: Exclude<Described, { readonly kind: 'metafile' }>;
}

export interface OpenerOptions {
  readonly newLink: (url: WmspUrl) => ClientLink;
  readonly onNote: (text: string) => void;
}

const MAX_DEPTH = 3;
/** Requests for one URL, over all announcements that it leads to. */
const MAX_REQUESTS = 16;

/** Finds content: at a URL, or where the announcement leads that is there instead. */
export class ContentOpener {
  readonly #options: OpenerOptions;
  #link: ClientLink | undefined;
  #cancelled = false;
  #requests = 0;

  constructor(options: OpenerOptions) {
    this.#options = options;
  }

  /**
   * @throws WmError as {@link ClientLink.describe}; of an announcement, that of the last of its references
   */
  open(url: WmspUrl): Promise<Opened> {
    this.#requests = 0;
    return this.#open(url, 0);
  }

  /** Gives up what is under way, for good. */
  cancel(): void {
    this.#cancelled = true;
    this.#link?.destroy();
  }

  async #open(url: WmspUrl, depth: number): Promise<Opened> {
    this.#requests++;
    const link = this.#options.newLink(url);
    this.#link = link;
    try {
      if (this.#cancelled) throw new WmError('WM_FAILED', 'The source is closed.');
      const described = await link.describe();
      if (described.kind !== 'metafile') return { link, described };
      link.destroy();
      return await this.#openReference(described.text, link.session.peer.url, depth);
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      this.#link = undefined;
    }
  }

  /** The first of an announcement's references that works. */
  async #openReference(text: string, base: WmspUrl, depth: number): Promise<Opened> {
    if (depth >= MAX_DEPTH) {
      throw new WmError('WM_PROTOCOL', `Announcements lead to announcements again and again, last at ${base.href}.`);
    }
    const metafile = readMetafile(text);
    const refs = [...(metafile?.entries.flatMap((entry) => entry.refs) ?? []), ...(metafile?.entryRefs ?? [])];
    let failure = new WmError('WM_BAD_INPUT', `The announcement at ${base.href} names nothing that can be received.`);
    for (const ref of refs) {
      if (this.#requests >= MAX_REQUESTS) break;
      try {
        return await this.#open(parseWmspUrl(ref, base), depth + 1);
      } catch (error) {
        if (!(error instanceof WmError) || this.#cancelled) throw error;
        this.#options.onNote(`${ref} does not work: ${error.message}`);
        if (error.code !== 'WM_USAGE') failure = error;
      }
    }
    throw failure;
  }
}

import type { AsfHeader } from '../asf/header.js';
import { WmError } from '../errors.js';
import type { LinkEvent, PullLink, SourceFacts, Wish } from '../receiving/link.js';
import { ContentChanged, type FetchedPacket, type FetchStart, type OriginContent } from './fetch.js';
import type { PlainOrigin } from './plain-origin.js';

/** How a protocol reads content from another server. */
export interface LinkOriginOptions<F extends SourceFacts> {
  readonly url: string;
  /** Makes a session with the origin, which is not open yet. */
  readonly connect: () => PullLink<F>;
  /** True unless the origin's last answer was about another state of the content. */
  readonly isSame?: ((link: object) => boolean) | undefined;
  /** Content that the origin also gives as it is, byte by byte, if so. */
  readonly plain?: ((header: AsfHeader) => PlainOrigin | undefined) | undefined;
}

/** How many sessions that stream nothing are kept for the next fetch. */
const MAX_READY = 2;

/** The content of an origin, over sessions of any protocol, which are used again. */
export class LinkOrigin<F extends SourceFacts> implements OriginContent {
  readonly facts: F;
  readonly header: AsfHeader;
  readonly seekable: boolean;
  readonly #options: LinkOriginOptions<F>;
  readonly #ready: PullLink<F>[];
  readonly #used = new Set<PullLink<F>>();
  #plain: PlainOrigin | undefined;
  #closed = false;

  private constructor(options: LinkOriginOptions<F>, facts: F, link: PullLink<F>) {
    this.#options = options;
    this.facts = facts;
    this.header = facts.header;
    this.seekable = facts.resumable;
    this.#ready = [link];
    this.#plain = facts.live ? undefined : options.plain?.(facts.header);
  }

  /** Asks the origin about the content. @throws WmError, LeadsElsewhere */
  static async open<F extends SourceFacts>(options: LinkOriginOptions<F>): Promise<LinkOrigin<F>> {
    const link = options.connect();
    try {
      const facts = await link.open();
      if (options.isSame?.(link) === false) throw new ContentChanged(options.url);
      return new LinkOrigin(options, facts, link);
    } catch (error) {
      link.destroy();
      throw error;
    }
  }

  async *fetch(start: FetchStart, signal: AbortSignal): AsyncGenerator<readonly FetchedPacket[], void, undefined> {
    if (this.#plain && 'packet' in start) {
      const plain = this.#plain;
      if (await plain.isSame(this.header)) {
        yield* plain.fetch(start, signal, this.header);
        return;
      }
      this.#plain = undefined;
    }
    signal.throwIfAborted();
    const link = await this.#link();
    const stop = () => link.pause();
    signal.addEventListener('abort', stop, { once: true });
    let isReady = false;
    try {
      const play = link.play(() => this.#wish(start));
      try {
        for (;;) {
          const { done, value } = await play.next();
          if (done) break;
          if (this.#options.isSame?.(link) === false) throw new ContentChanged(this.#options.url);
          const packets = this.#packetsOf(value);
          if (packets.length > 0) yield packets;
          if (signal.aborted) break;
        }
        isReady = true;
      } finally {
        link.pause();
        await play.return('stopped').catch(() => undefined);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#used.delete(link);
      if ((isReady || signal.aborted) && !this.#closed && this.seekable && this.#ready.length < MAX_READY) {
        this.#ready.push(link);
      } else link.destroy();
    }
  }

  close(): void {
    this.#closed = true;
    for (const link of [...this.#ready, ...this.#used]) link.destroy();
    this.#ready.length = 0;
    this.#plain?.close();
  }

  async #link(): Promise<PullLink<F>> {
    if (this.#closed) throw new WmError('WM_FAILED', `${this.#options.url} was closed.`);
    const ready = this.#ready.pop();
    const link = ready ?? this.#options.connect();
    this.#used.add(link);
    if (ready) return ready;
    try {
      const { header, live } = await link.open();
      const isSame = this.#options.isSame?.(link) !== false && header.bytes.equals(this.header.bytes);
      if (live || !isSame) throw new ContentChanged(this.#options.url);
      return link;
    } catch (error) {
      this.#used.delete(link);
      link.destroy();
      throw error;
    }
  }

  #wish(start: FetchStart): Wish {
    return {
      header: this.header,
      chosen: new Set(this.header.streams.map(({ number }) => number)),
      live: false,
      startTime: 'time' in start ? start.time : 0,
      startPacket: 'packet' in start && start.packet > 0 ? start.packet : undefined,
      lastSendTime: undefined,
      entry: undefined,
      rate: 1,
      maxDuration: 0,
    };
  }

  #packetsOf(events: readonly LinkEvent[]): FetchedPacket[] {
    const packets: FetchedPacket[] = [];
    for (const event of events) {
      if (event.type === 'header' && (event.announced || !event.header.bytes.equals(this.header.bytes))) {
        throw new ContentChanged(this.#options.url);
      }
      if (event.type !== 'packet' && event.type !== 'parsed') continue;
      const { location } = event;
      if (location === undefined) throw new WmError('WM_PROTOCOL', 'The origin does not number its packets.');
      packets.push({ location, bytes: event.type === 'packet' ? event.bytes : event.packet.bytes });
    }
    return packets;
  }
}

import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { WmError } from '../../errors.js';
import type { LinkEvent, Losses, PullLink, SourceFacts } from '../../receiving/link.js';
import type { MsbdGroup } from '../messages/messages.js';
import { type StreamInfo, textOf } from '../messages/stream-info.js';
import { type LinkOptions, type MsbdEvent, MsbdLink } from './link.js';

/** A server's description of a stream. @public */
export interface MsbdDescription {
  readonly url: string;
  readonly transport: 'msbd';
  /** MSBD carries live streams only. */
  readonly live: true;
  readonly header: AsfHeader;
  readonly title: string;
  readonly description: string;
  readonly link: string;
  /** Bits per second. */
  readonly bitRate: number;
  /** The group that packets are sent to; undefined if they come on the connection. */
  readonly group: MsbdGroup | undefined;
}

/** The facts about a source that an MSBD link finds out. */
export interface MsbdFacts extends SourceFacts {
  readonly description: MsbdDescription;
}

/** A connection to an MSBD server as a link of a {@link PullSource}. */
export class MsbdPullLink implements PullLink<MsbdFacts> {
  readonly #href: string;
  readonly #link: MsbdLink;
  readonly #events: AsyncGenerator<readonly MsbdEvent[], void, undefined>;
  #first: readonly MsbdEvent[] = [];
  #description: MsbdDescription | undefined;

  constructor(options: LinkOptions) {
    this.#href = options.href;
    this.#link = new MsbdLink(options);
    this.#events = this.#link.events();
  }

  get losses(): Losses {
    return this.#link.losses;
  }

  /** The server's latest description of the stream. */
  get description(): MsbdDescription | undefined {
    return this.#description;
  }

  async open(): Promise<MsbdFacts> {
    for (;;) {
      const { done, value } = await this.#events.next();
      const stream = done ? undefined : value.find((event) => event.type === 'stream');
      if (done || value.at(-1)?.type === 'end') {
        if (!stream) throw new WmError('WM_NO_INPUT', `There is nothing at ${this.#href} at the moment.`);
      }
      if (!stream) continue;
      this.#first = value as readonly MsbdEvent[];
      const description = this.#describe(stream.info);
      return { live: true, header: description.header, single: false, resumable: false, description };
    }
  }

  async *play(): AsyncGenerator<readonly LinkEvent[], 'ended', undefined> {
    let headers = 0;
    const event = (each: MsbdEvent): LinkEvent[] => {
      if (each.type === 'packet') return [{ type: 'packet', bytes: each.payload }];
      if (each.type !== 'stream') return [];
      const { header } = headers === 0 ? this.#description! : this.#describe(each.info);
      return [{ type: 'header', header, announced: headers++ > 0 }];
    };
    yield this.#first.flatMap(event);
    this.#first = [];
    for await (const events of this.#events) yield events.flatMap(event);
    return 'ended';
  }

  /** MSBD has no pause: the connection ends. */
  pause(): void {
    this.#link.close();
  }

  destroy(): void {
    this.#link.close();
  }

  #describe(info: StreamInfo): MsbdDescription {
    this.#description = {
      url: this.#href,
      transport: 'msbd',
      live: true,
      header: parseHeader(info.header),
      title: textOf(info.title),
      description: textOf(info.description),
      link: textOf(info.link),
      bitRate: info.bitRate,
      group: this.#link.group,
    };
    return this.#description;
  }
}

import type { AsfHeader } from '../../src/asf/header.js';
import { WmError } from '../../src/errors.js';
import type { LinkEvent, PullLink, SourceFacts, Way, Wish } from '../../src/receiving/link.js';

/** The content of a toy server, and how it fails. */
export interface ToyServer {
  readonly header: AsfHeader;
  /** ASF packets in order, each with its send time in ms. */
  readonly packets: ReadonlyArray<{ readonly bytes: Buffer; readonly sendTime: number }>;
  readonly live: boolean;
  /** The number of packets of each play before the connection breaks; after the list all, and the end. */
  readonly breaks: readonly number[];
  /** True if it opens but sends nothing. */
  silent?: boolean;
  /** The error with which opening fails. */
  refusal?: WmError | undefined;
  /** Gets the calls that end its sessions. */
  readonly farewell?: string[];
  /** True if its packets have numbers. */
  readonly numbers?: boolean;
}

/** A protocol in fifty lines: it has sessions that can play again, and continues by packet number or by send time. */
class ToyLink implements PullLink {
  readonly #server: ToyServer;
  readonly #log: string[];
  #stopped = false;
  #wake: () => void = () => {};

  constructor(server: ToyServer, log: string[]) {
    this.#server = server;
    this.#log = log;
  }

  async open(): Promise<SourceFacts> {
    this.#log.push('open');
    if (this.#server.refusal) throw this.#server.refusal;
    const { header, live } = this.#server;
    return { header, live, single: true, resumable: !live };
  }

  async *play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined> {
    const { startPacket, lastSendTime } = wish();
    const { packets, header, silent, numbers = false } = this.#server;
    const plays = this.#log.filter((line) => line.startsWith('play')).length;
    const from = startPacket ?? packets.findIndex(({ sendTime }) => sendTime >= (lastSendTime ?? 0));
    this.#log.push(`play ${from}`);
    this.#stopped = false;
    yield [{ type: 'header', header, announced: false }];
    if (silent) await new Promise<void>((resolve) => (this.#wake = resolve));
    const left = this.#server.breaks[plays] ?? packets.length;
    for (let at = from; at < packets.length; at += 2) {
      if (this.#stopped) return 'stopped';
      if (at - from >= left) throw new WmError('WM_SERVER_GONE', 'The toy broke.');
      const pair = packets.slice(at, Math.min(at + 2, from + left));
      yield pair.map(({ bytes }, index) => ({ type: 'packet', bytes, location: numbers ? at + index : undefined }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    return 'ended';
  }

  pause(): void {
    this.#log.push('pause');
    this.#stopped = true;
  }

  stop(): void {
    this.#server.farewell?.push('stop');
    this.#stopped = true;
    this.#wake();
  }

  async finish(): Promise<void> {
    this.#server.farewell?.push('finish');
    this.destroy();
  }

  destroy(): void {
    this.#server.farewell?.push('destroy');
    this.#stopped = true;
    this.#wake();
  }
}

export function toyWay(name: string, server: ToyServer, log: string[], limits: Partial<Way> = {}): Way {
  return { name, connect: () => new ToyLink(server, log), ...limits };
}

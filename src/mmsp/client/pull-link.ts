import { randomUUID } from 'node:crypto';
import { LeadsElsewhere } from '../../announce/elsewhere.js';
import { type AsfHeader, parseHeader } from '../../asf/header.js';
import type { HttpAuthenticator } from '../../auth/client.js';
import { hexResult, isErrorResult } from '../../hresult.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { PLAYER_PRODUCT } from '../../http/product.js';
import type { Absence } from '../../receiving/absence.js';
import {
  type LinkContext,
  type LinkEvent,
  type Losses,
  type PullLink,
  ServerFailure,
  type SourceFacts,
  type Wish,
} from '../../receiving/link.js';
import type { Relayed } from '../../wms/relayed.js';
import { FILE_ATTRIBUTE } from '../messages/server.js';
import type { PlayOrder } from './actions.js';
import { DEFAULT_TIMEOUTS, type LinkItem, MmspLink, type MmspTimeouts } from './link.js';
import { clientLog } from './report.js';
import type { MmsUrl } from './url.js';

/** A server's description of itself and of content. @public */
export interface MmspDescription {
  /** The last URL, after redirects. */
  readonly url: string;
  /** How the packets arrive. */
  readonly transport: 'mmst' | 'mmsu';
  /** The server's version, such as 9.1.1.3814. */
  readonly server: { readonly text: string };
  readonly live: boolean;
  /** broadcast, seekable, stridable, playlist. */
  readonly features: readonly string[];
  /** As measured with a packet pair, in bits per second. */
  readonly bandwidth: number | undefined;
  /** The header as received, with all streams. */
  readonly header: AsfHeader;
}

/** The facts about a source that an MMSP link finds out. */
export interface MmspFacts extends SourceFacts {
  readonly description: MmspDescription;
}

/** What all links of a client share. */
export interface MmspPeer {
  readonly url: MmsUrl;
  /** The client's product, such as NSPlayer/12.0.7680.0. */
  readonly userAgent?: string | undefined;
  /** The GUID of all links of a session (MS-MMSP 3.1.4.1.1), and the c-playerid of logs. */
  readonly guid: string;
  readonly playerId: string;
  readonly packetPair: boolean;
  readonly rate: number;
  /** A multiple of the bit rate at which content on demand is wanted. */
  readonly speed: number;
  /** True to send the server reports of what was received. */
  readonly log: boolean;
  readonly timeouts?: Partial<MmspTimeouts> | undefined;
  /** How long a server may take for its first message, in ms; default: as for any other. */
  readonly greetWithin?: number | undefined;
  readonly authorize?: HttpAuthenticator | undefined;
  readonly guard?: AddressGuard | undefined;
  readonly led?: boolean | undefined;
  /** For a proxy: the client that it asks for (MS-MMSP 2.2.4.17). */
  readonly relayed?: Relayed | undefined;
  readonly onNote: (text: string) => void;
  /** Shared by the ways of a client. */
  readonly absence: Absence;
}

/** Returns a GUID for {@link MmspPeer.guid}. */
export function newGuid(): string {
  return `{${randomUUID()}}`;
}

/** A session with an MMSP server as a link of a {@link PullSource}. */
export class MmspPullLink implements PullLink<MmspFacts> {
  readonly #peer: MmspPeer;
  readonly #context: LinkContext;
  readonly #transport: 'tcp' | 'udp';
  #link: MmspLink;
  #losses: Losses = { lost: 0, recovered: 0, parity: 0 };
  #destroyed = false;
  #header: AsfHeader | undefined;
  #live = false;

  constructor(peer: MmspPeer, transport: 'tcp' | 'udp', context: LinkContext) {
    this.#peer = peer;
    this.#context = context;
    this.#transport = transport;
    this.#link = this.#newLink();
  }

  get losses(): Losses {
    const { lost = 0, recovered = 0 } = this.#opened?.reception.counts ?? {};
    const before = this.#losses;
    return { lost: before.lost + lost, recovered: before.recovered + recovered, parity: 0 };
  }

  async open(): Promise<MmspFacts> {
    const isAnswered = (error: unknown) => this.#link.isGreeted || error instanceof LeadsElsewhere;
    await this.#peer.absence.reach(this.#transport, () => this.#link.open(), isAnswered);
    const { file, header: bytes, version, transport, bandwidth } = this.#link.session;
    const header = parseHeader(bytes);
    const has = (attribute: keyof typeof FILE_ATTRIBUTE) => (file.attributes & FILE_ATTRIBUTE[attribute]) !== 0;
    const features = [
      ...(has('broadcast') || has('live') ? ['broadcast'] : []),
      ...(has('canSeek') ? ['seekable'] : []),
      ...(has('canStride') ? ['stridable'] : []),
      ...(has('playlist') ? ['playlist'] : []),
    ];
    this.#header = header;
    this.#live = header.broadcast || features.includes('broadcast');
    const description: MmspDescription = {
      url: this.#link.url.href,
      transport: transport === 'udp' ? 'mmsu' : 'mmst',
      server: { text: `Windows Media Services ${version.text}` },
      live: this.#live,
      features,
      bandwidth,
      header,
    };
    return { live: this.#live, header, bandwidth, single: !has('playlist'), resumable: true, description };
  }

  async *play(wish: () => Wish): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined> {
    if (this.#link.isBroken) await this.#openAgain();
    const header = this.#header!;
    // The header decides which streams are wanted.
    yield [{ type: 'header', header, announced: false }];
    const playing = this.#link.play(this.#order(wish(), true));
    try {
      for await (const items of playing) {
        const packets = items.flatMap((item) => eventOf(item));
        if (packets.length > 0) yield packets;
        const last = items.at(-1)!;
        // The report counts what was taken.
        if (last.type === 'change' || last.type === 'ended') this.#link.report();
        if (last.type === 'change') {
          this.#header = parseHeader(last.header);
          yield [{ type: 'header', header: this.#header, announced: true }];
          this.#link.nextEntry(this.#order(wish(), false));
        } else if (last.type === 'ended') {
          if (!isErrorResult(last.hr)) return 'ended';
          throw new ServerFailure(`The server ended the stream with the error ${hexResult(last.hr)}.`);
        }
      }
      return 'stopped';
    } finally {
      await playing.return();
    }
  }

  pause(): void {
    this.#link.stop();
  }

  stop(): void {
    this.#link.stop();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#link.destroy();
  }

  /** Makes another connection after a break. */
  async #openAgain(): Promise<void> {
    this.#losses = this.losses;
    this.#header = undefined;
    this.#link.destroy();
    this.#link = this.#newLink();
    if (this.#destroyed) this.#link.destroy();
    await this.open();
  }

  #newLink(): MmspLink {
    const { relayed, guid, url, timeouts, log, ...peer } = this.#peer;
    // The product of a client that has one of this protocol.
    const named = relayed && /^NSPlayer\/[\d.]{1,40}/.exec(relayed.agent)?.[0];
    const userAgent = named ?? peer.userAgent ?? PLAYER_PRODUCT;
    return new MmspLink({
      ...peer,
      url,
      transport: this.#transport,
      subscriber: `${userAgent}; ${guid}`,
      via: relayed && viaOf(relayed.via),
      timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts },
      buildLog: (openFileId) => (log ? this.#report(openFileId, userAgent) : undefined),
    });
  }

  get #opened() {
    return this.#header && this.#link.session;
  }

  /** @param isFirst false for a further entry, which begins where the server begins it */
  #order({ header, chosen, live, startTime, startPacket, rate, maxDuration }: Wish, isFirst: boolean): PlayOrder {
    const streams = new Map(header.streams.map(({ number }) => [number, chosen.has(number)] as const));
    const hasPlace = isFirst && !live;
    return {
      streams,
      rate,
      speed: live ? 1 : this.#peer.speed,
      lasting: maxDuration > 0 && !live ? maxDuration : undefined,
      ...(hasPlace && startPacket ? { location: startPacket } : { position: hasPlace ? startTime / 1_000 : 0 }),
    };
  }

  #report(openFileId: number, userAgent: string): Buffer {
    const { session, url } = this.#link;
    const { header = this.#header, received } = this.#context;
    return clientLog({
      url: url.href,
      openFileId,
      userAgent,
      playerId: this.#peer.playerId,
      header,
      live: this.#live,
      rate: this.#peer.rate,
      transport: session.transport,
      received,
      counts: session.reception.counts,
    });
  }
}

/**
 * Returns the proxies on the way as VIA names them: product and version of each, and the name by which it knows itself
 * again. Those that were reached by HTTP are named as there: `HTTP/1.1 name (product)`.
 */
function viaOf(hops: readonly string[]): string {
  const tokens = hops
    .flatMap((hop) => hop.split(','))
    .flatMap((hop) => {
      const [, name, product] = /^\s*[\w.-]+\/[\d.]+\s+(\S+?)(?:\s+\(([^()]*)\))?\s*$/.exec(hop) ?? [];
      return name === undefined ? [hop] : [product ?? '', name];
    });
  return tokens
    .map((token) => token.trim().replace(/[^\w.!#$%&'*+^`|~/-]/g, '_'))
    .filter((token) => token !== '')
    .join(', ');
}

function eventOf(item: LinkItem): LinkEvent[] {
  return item.type === 'packet' ? [{ type: 'packet', bytes: item.bytes, location: item.location }] : [];
}

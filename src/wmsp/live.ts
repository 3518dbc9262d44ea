import { filterPacket, type ThinningLevel } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import { restorePadding } from '../asf/padding.js';
import type { ResponseStream } from '../http/exchange.js';
import type { Broadcast } from '../media/broadcast.js';
import type { EndEvent } from '../media/events.js';
import type { LaneFormat, Player, PlayerSession } from '../media/lane.js';
import { changePacket, dataPackets, describeContent, endPacket, headerPackets, metadataPackets } from './packets.js';
import type { ClientProfile } from './profiles.js';

/** Which streams a player wants: the level by stream number, and what holds for streams that it did not name. */
export interface StreamSelection {
  readonly levels: ReadonlyMap<number, ThinningLevel>;
  readonly others: ThinningLevel;
}

/**
 * How the $D packets of a selection look. Players with the same selection and padding share a lane, whatever the order in
 * which they named the streams.
 */
export function dataFormat(
  header: AsfHeader,
  selection: StreamSelection,
  padding: ClientProfile['padding'],
): LaneFormat {
  const level = (stream: number) => selection.levels.get(stream) ?? selection.others;
  const levels = header.streams.map(({ number }) => [number, level(number)] as const);
  const video = header.streams
    .filter(({ number, type }) => type === 'video' && level(number) < 2)
    .map(({ number }) => number);
  const everything = levels.every(([, value]) => value === 0);
  const nothing = levels.every(([, value]) => value === 2);
  const chosen = levels.map(([number, value]) => `${number}:${value}`).join(' ');
  return {
    key: `wmsp ${padding} ${everything ? 'all' : chosen}`,
    phases: 256,
    startsAt: ({ keyStreams }) => video.length === 0 || keyStreams.some((stream) => video.includes(stream)),
    select: ({ wire }) => {
      if (nothing) return undefined;
      const bytes = everything ? wire : filterPacket(parsePacket(wire), level);
      return bytes && padding === 'kept' ? restorePadding(parsePacket(bytes), header.packetSize) : bytes;
    },
    wrap: dataPackets,
  };
}

/** What opens a Play body and every later entry: [$M] $H (MS-WMSP 2.2.2.6). */
export function entryHead(header: AsfHeader, playlistGenId: number, profile: ClientProfile): Buffer {
  const asfHeader = headerPackets(header.bytes);
  if (!profile.metadata) return asfHeader;
  const descriptions = describeContent(header);
  const metadata = metadataPackets({ playlistGenId, broadcastId: 1, features: profile.liveFeatures, descriptions });
  return Buffer.concat([metadata, asfHeader]);
}

export interface LivePlayerOptions {
  readonly stream: ResponseStream;
  readonly broadcast: Broadcast;
  readonly profile: ClientProfile;
  readonly selection: StreamSelection;
  /** The player is gone, for whatever reason; called once. */
  readonly onGone: (player: LivePlayer) => void;
}

/** A WMSP client that plays a broadcast: the body of one Play response. */
export class LivePlayer implements PlayerSession {
  readonly output: ResponseStream;
  readonly #options: LivePlayerOptions;
  #player: Player | undefined;

  constructor(options: LivePlayerOptions) {
    this.#options = options;
    this.output = options.stream;
    this.output.onLost = () => this.#gone();
  }

  /** Data packets sent and left out so far. */
  get packets(): { sent: number; skipped: number } {
    return { sent: this.#player?.sent ?? 0, skipped: this.#player?.skipped ?? 0 };
  }

  /**
   * Sends the header and joins the broadcast.
   * @param reset repeat the header behind $E(1) $C, as old clients need it when their session was lost (MS-WMSP 3.2.5.6)
   */
  start(reset: boolean): void {
    const { broadcast, profile } = this.#options;
    const header = broadcast.header!;
    const head = entryHead(header, broadcast.generation, profile);
    this.output.write(reset ? Buffer.concat([head, endPacket(1), changePacket(), head]) : head);
    this.#player = broadcast.join(this, this.#format(header));
  }

  changed(header: AsfHeader): LaneFormat | undefined {
    const { broadcast, profile } = this.#options;
    if (profile.endBeforeChange) this.output.write(endPacket(1));
    this.output.write(Buffer.concat([changePacket(), entryHead(header, broadcast.generation, profile)]));
    return this.#format(header);
  }

  ended(event: EndEvent): void {
    this.output.write(endPacket(event.reason));
    this.output.end();
    this.#gone();
  }

  #format(header: AsfHeader): LaneFormat {
    return dataFormat(header, this.#options.selection, this.#options.profile.padding);
  }

  #gone(): void {
    if (this.#player) this.#options.broadcast.leave(this.#player);
    this.#options.onGone(this);
  }
}

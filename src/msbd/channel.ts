import type { AsfHeader } from '../asf/header.js';
import { playerHeader } from '../asf/lean-header.js';
import { parsePacket } from '../asf/packet.js';
import { restorePadding } from '../asf/padding.js';
import type { Broadcast } from '../media/broadcast.js';
import type { LaneFormat, LaneItem } from '../media/lane.js';
import { buildPackets, MAX_PAYLOAD } from './packet.js';
import type { StreamMessages } from './server-session.js';
import { buildStreamInfo, MAX_BINARY_DATA, streamIdOf, streamInfoOf } from './stream-info.js';

/** One stream of a channel: what is said of it, and what its packets look like. */
export interface ChannelStream {
  readonly header: AsfHeader;
  readonly messages: StreamMessages;
  readonly format: LaneFormat;
}

/**
 * A broadcast as MSBD carries it. Whatever can be the same for all clients is: the packets with their numbers, so that all of a
 * lane are sent the same buffers, and what is said of a stream.
 */
export class Channel {
  readonly broadcast: Broadcast;
  #stream: ChannelStream | undefined;
  #generation = -1;
  #ended = false;
  #index = 0;
  // dwPacketId of location 0 of the present stream, and the next one that is free.
  #base = 0;
  #next = 0;

  constructor(broadcast: Broadcast) {
    this.broadcast = broadcast;
  }

  /** What the broadcast carries now; undefined before it has a header, and when that or its packets are too large for MSBD. */
  get stream(): ChannelStream | undefined {
    const { header: whole, generation } = this.broadcast;
    if (!whole) return undefined;
    if (generation === this.#generation && !this.#ended) return this.#stream;
    // Behind a new header the broadcast counts packets from 0 again; dwPacketId goes on.
    if (generation !== this.#generation) this.#base = this.#next;
    this.#generation = generation;
    this.#ended = false;
    const header = playerHeader(whole);
    const fits = header.bytes.length <= MAX_BINARY_DATA && header.packetSize <= MAX_PAYLOAD;
    this.#stream = fits ? this.#newStream(header) : undefined;
    return this.#stream;
  }

  /** The broadcast has ended: what may come next is another stream, even if its header is the same. */
  ended(): void {
    this.#ended = true;
  }

  #newStream(header: AsfHeader): ChannelStream {
    const streamId = streamIdOf(this.#index++);
    const base = this.#base;
    const info = streamInfoOf(header, streamId);
    return {
      header,
      messages: {
        indication: buildStreamInfo('IND_STREAMINFO', info),
        response: buildStreamInfo('RES_STREAMINFO', info),
      },
      format: {
        key: `msbd ${streamId}`,
        phases: 1,
        // 2.2.10: padding is part of the payload.
        select: ({ wire }) => restorePadding(parsePacket(wire), header.packetSize),
        wrap: (items: readonly LaneItem[]) => {
          const last = base + (items.at(-1)?.location ?? 0) + 1;
          if (((last - this.#next) | 0) > 0) this.#next = last >>> 0;
          return buildPackets(items, streamId, base);
        },
      },
    };
  }
}

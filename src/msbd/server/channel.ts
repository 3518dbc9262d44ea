import type { AsfHeader } from '../../asf/header.js';
import { playerHeader } from '../../asf/lean-header.js';
import type { Broadcast } from '../../media/broadcast.js';
import type { WireFormat } from '../../media/wire.js';
import { MAX_PAYLOAD, packetWire } from '../messages/packet.js';
import { buildStreamInfo, MAX_BINARY_DATA, streamIdOf, streamInfoOf } from '../messages/stream-info.js';
import type { StreamMessages } from './session.js';

/** One stream of a channel: its description, and the layout of its packets. */
export interface ChannelStream {
  readonly header: AsfHeader;
  readonly messages: StreamMessages;
  readonly wire: WireFormat;
  /** dwPacketId of location 0, modulo 2^32. */
  readonly base: number;
}

/**
 * A broadcast as MSBD carries it. Shares among all clients what can be the same for them: the numbered packets, so that
 * everyone in a lane gets the same buffers, and the description of a stream.
 */
export class Channel {
  readonly broadcast: Broadcast;
  #stream: ChannelStream | undefined;
  #generation = -1;
  #ended = false;
  #index = 0;
  // dwPacketId of location 0 of the current stream, and the next free one.
  #base = 0;
  #next = 0;

  constructor(broadcast: Broadcast) {
    this.broadcast = broadcast;
  }

  /**
   * The current stream; undefined before the broadcast has a header, and if the header or the packets are too large for
   * MSBD.
   */
  get stream(): ChannelStream | undefined {
    const { header: whole, generation } = this.broadcast;
    if (!whole) return undefined;
    if (generation === this.#generation && !this.#ended) return this.#stream;
    // After a new header the broadcast counts packets from 0 again; dwPacketId goes on.
    if (generation !== this.#generation) this.#base = this.#next;
    this.#generation = generation;
    this.#ended = false;
    const header = playerHeader(whole);
    const fits = header.bytes.length <= MAX_BINARY_DATA && header.packetSize <= MAX_PAYLOAD;
    this.#stream = fits ? this.#newStream(header) : undefined;
    return this.#stream;
  }

  /** The broadcast has ended: the next one counts as another stream, even with the same header. */
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
      base,
      wire: packetWire(streamId, {
        packetSize: header.packetSize,
        idOf: (location) => {
          const id = (base + location) >>> 0;
          if (((id + 1 - this.#next) | 0) > 0) this.#next = (id + 1) >>> 0;
          return id;
        },
      }),
    };
  }
}

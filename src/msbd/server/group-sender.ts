import type { Socket } from 'node:dgram';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { restorePadding, stripPadding } from '../../asf/padding.js';
import type { Follower } from '../../media/broadcast.js';
import type { BroadcastPacket } from '../../media/wire.js';
import { isCongested, openSendingSocket } from '../../msb/group-socket.js';
import { canBeProtected, ParitySpan, withErrorCorrection } from '../../msb/messages/parity.js';
import type { MsbdGroup } from '../messages/messages.js';
import { buildPackets, PACKET_HEAD_SIZE, readPacket } from '../messages/packet.js';
import type { Channel, ChannelStream } from './channel.js';

/** The largest payload of an IPv4 datagram, in bytes. */
const MAX_DATAGRAM = 65_507;

/** True if packets of this size can be sent as datagrams. */
export function fitsDatagram(packetSize: number): boolean {
  return packetSize + PACKET_HEAD_SIZE <= MAX_DATAGRAM;
}

/** The channel that is sent to a multicast group, and how. */
export interface GroupSenderOptions {
  readonly channel: Channel;
  readonly group: MsbdGroup;
  /** TTL of datagrams; 1 is this network only. */
  readonly ttl: number;
  /** The interface that datagrams leave by: its name or an address of it; default: the system's choice of route. */
  readonly interface: string | undefined;
  /**
   * Data packets for each parity packet ([MS-MSB] 2.2.2), 1 to 15; 0 for no parity. Packets without room for its fields
   * go unprotected.
   */
  readonly fec: number;
  readonly onError: (error: unknown) => void;
  /** Called with the size of each datagram sent, in bytes. */
  readonly onSent?: (bytes: number) => void;
  /** Called when the sender has stopped. */
  readonly onClose: () => void;
}

/** A listener of a group, represented by the connection that controls it. */
export interface GroupMember {
  /** The broadcast goes on with another header. */
  changed(): void;
  /** The broadcast is over, or can no longer be sent to a group. */
  ended(): void;
}

/**
 * Sends a channel's packets to a multicast group, one datagram each, as long as the group has members (MS-MSBD 2.1,
 * 2.2.10).
 */
export class GroupSender implements Follower {
  readonly group: MsbdGroup;
  readonly members = new Set<GroupMember>();
  readonly #options: GroupSenderOptions;
  readonly #socket: Socket;
  #stream: ChannelStream | undefined;
  #ended = false;
  readonly #span: ParitySpan | undefined;
  // The last packet sent.
  #last: { readonly streamId: number; readonly packetId: number } | undefined;
  #bytes = 0;
  #closed = false;

  private constructor(options: GroupSenderOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#span = options.fec === 0 ? undefined : new ParitySpan(options.fec);
    this.group = options.group;
    socket.on('error', (error) => options.onError(error));
    this.#stream = usable(options.channel);
  }

  /**
   * @throws MsbError for a span out of range; WmError WM_USAGE if the interface does not exist, WM_UNREACHABLE if no
   *   network leads to the group
   */
  static async start(options: GroupSenderOptions): Promise<GroupSender> {
    const { group, ttl, interface: own } = options;
    const { socket } = await openSendingSocket({ ...group, ttl, interface: own });
    const sender = new GroupSender(options, socket);
    options.channel.broadcast.follow(sender);
    return sender;
  }

  /** Removes a member; sending stops with the last one. */
  leave(member: GroupMember): void {
    this.members.delete(member);
    if (this.members.size === 0) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.channel.broadcast.unfollow(this);
    this.#socket.close();
    this.#options.onClose();
  }

  started(): void {
    const before = this.#stream;
    const wasEnded = this.#ended;
    this.#ended = false;
    this.#stream = usable(this.#options.channel);
    if (this.#stream === before) return;
    this.#endSpan();
    // After an end, the members wait for the next stream on their own.
    if (wasEnded) return;
    for (const member of [...this.members]) {
      if (this.#stream) member.changed();
      else member.ended();
    }
  }

  packet({ location }: BroadcastPacket, placed: DataPacket): number {
    if (!this.#stream) return 0;
    const { header, wire } = this.#stream;
    const before = this.#bytes;
    const packet = { location, bytes: this.#payload(placed, header.packetSize) };
    const message = Buffer.allocUnsafe(wire.size(packet, 0));
    wire.write(message, 0, packet, 0, 0);
    this.#sendPacket(message);
    return this.#bytes - before;
  }

  /** Returns a whole packet; with parity, and if its padding has room, with its place in the span ([MS-MSB] 2.2.2). */
  #payload(placed: DataPacket, packetSize: number): Buffer {
    const whole = restorePadding(placed, packetSize);
    if (!this.#span || canBeProtected(whole)) return whole;
    const guarded = withErrorCorrection(parsePacket(stripPadding(placed)), packetSize);
    return guarded ? restorePadding(parsePacket(guarded), packetSize) : whole;
  }

  ended(): void {
    this.#endSpan();
    this.#ended = true;
    for (const member of [...this.members]) member.ended();
  }

  #sendPacket(message: Buffer): void {
    const span = this.#span;
    const payload = message.subarray(PACKET_HEAD_SIZE);
    if (!span || !canBeProtected(payload)) {
      // A packet without room for its place in a span goes unprotected, between two spans.
      this.#endSpan();
      this.#put(message);
      return;
    }
    const { streamId, packetId } = readPacket(message);
    if (this.#last?.streamId !== streamId) this.#endSpan();
    this.#last = { streamId, packetId };
    span.add(payload);
    this.#put(message);
    if (span.full) this.#endSpan();
  }

  /** Sends the parity packet of the open span; it has the number of the packet before it (2.2.10). */
  #endSpan(): void {
    const parity = this.#span?.close();
    if (parity && this.#last) {
      this.#put(buildPackets([{ location: this.#last.packetId, bytes: parity }], this.#last.streamId, 0));
    }
  }

  #put(datagram: Buffer): void {
    // A network that is down for a moment is no reason to stop: datagrams may be lost.
    if (this.#closed || isCongested(this.#socket)) return;
    this.#socket.send(datagram, () => {});
    this.#bytes += datagram.length;
    this.#options.onSent?.(datagram.length);
  }
}

/** Returns the channel's current stream, if its packets fit datagrams. */
function usable({ stream }: Channel): ChannelStream | undefined {
  return stream && fitsDatagram(stream.header.packetSize) ? stream : undefined;
}

import type { Socket } from 'node:dgram';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { restorePadding, stripPadding } from '../asf/padding.js';
import type { Follower } from '../media/broadcast.js';
import type { BroadcastPacket } from '../media/wire.js';
import { isCongested, openSendingSocket } from '../msb/group-socket.js';
import { canBeProtected, ParitySpan, withErrorCorrection } from '../msb/parity.js';
import type { Channel, ChannelStream } from './channel.js';
import type { Group } from './messages.js';
import { buildPackets, PACKET_HEAD_SIZE, readPacket } from './packet.js';

/** The most that fits a datagram of IPv4. */
const MAX_DATAGRAM = 65_507;

/** Whether packets of so many bytes can be sent as datagrams. */
export function fitsDatagram(packetSize: number): boolean {
  return packetSize + PACKET_HEAD_SIZE <= MAX_DATAGRAM;
}

export interface GroupSenderOptions {
  readonly channel: Channel;
  readonly group: Group;
  /** How many networks datagrams may pass; 1 is this one. */
  readonly ttl: number;
  /** The interface that they leave by: its name or an address of it; default: as the system routes. */
  readonly interface: string | undefined;
  /** Data packets for each parity packet ([MS-MSB] 2.2.2), 1 to 15; 0 for none. Packets without room for its marks go unprotected. */
  readonly fec: number;
  readonly onError: (error: unknown) => void;
  /** A datagram of so many bytes was sent. */
  readonly onSent?: (bytes: number) => void;
  /** It sends no more. */
  readonly onClose: () => void;
}

/** Who listens to a group, by the connection that controls it. */
export interface GroupMember {
  /** The broadcast goes on under another header. */
  changed(): void;
  /** It is over, or cannot be sent to a group any more. */
  ended(): void;
}

/**
 * Sends a channel's packets to a multicast group (MS-MSBD 2.1, 2.2.10), one datagram each, for as long as there are members.
 */
export class GroupSender implements Follower {
  readonly group: Group;
  readonly members = new Set<GroupMember>();
  readonly #options: GroupSenderOptions;
  readonly #socket: Socket;
  #stream: ChannelStream | undefined;
  #ended = false;
  readonly #span: ParitySpan | undefined;
  // The packet that was sent last.
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

  /** @throws MsbError for a span that cannot be; WmError WM_USAGE when there is no such interface, WM_UNREACHABLE when no network leads to the group */
  static async start(options: GroupSenderOptions): Promise<GroupSender> {
    const { group, ttl, interface: own } = options;
    const { socket } = await openSendingSocket({ ...group, ttl, interface: own });
    const sender = new GroupSender(options, socket);
    options.channel.broadcast.follow(sender);
    return sender;
  }

  /** Ends it for the member; with the last one nothing is sent any more. */
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
    // Behind an end, the members wait for what follows by themselves.
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

  /** A whole packet; with parity, if there is room in its padding, with the bytes that tell of the span ([MS-MSB] 2.2.2). */
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
      // What has no room for the bytes that tell of the span goes unprotected, between two spans.
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

  /** Sends the parity packet of the span that is open; it has the number of the packet before it (2.2.10). */
  #endSpan(): void {
    const parity = this.#span?.close();
    if (parity && this.#last) {
      this.#put(buildPackets([{ location: this.#last.packetId, bytes: parity }], this.#last.streamId, 0));
    }
  }

  #put(datagram: Buffer): void {
    // A network that is away for a moment is no reason to end: datagrams may be lost.
    if (this.#closed || isCongested(this.#socket)) return;
    this.#socket.send(datagram, () => {});
    this.#bytes += datagram.length;
    this.#options.onSent?.(datagram.length);
  }
}

/** What the channel carries, if it can be sent as datagrams. */
function usable({ stream }: Channel): ChannelStream | undefined {
  return stream && fitsDatagram(stream.header.packetSize) ? stream : undefined;
}

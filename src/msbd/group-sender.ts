import type { Socket } from 'node:dgram';
import type { LaneFormat, Player, PlayerSession } from '../media/lane.js';
import { openSendingSocket } from '../msb/group-socket.js';
import { canBeProtected, ParitySpan } from '../msb/parity.js';
import type { Channel } from './channel.js';
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
  /** Data packets for each parity packet ([MS-MSB] 2.2.2), 1 to 15; 0 for none. */
  readonly fec: number;
  readonly onError: (error: unknown) => void;
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
 * Sends a channel's packets to a multicast group (MS-MSBD 2.1, 2.2.10), one datagram each, for as long as there are members: the
 * buffers that the players of a lane share are cut, and copied for parity only.
 */
export class GroupSender implements PlayerSession {
  readonly group: Group;
  readonly members = new Set<GroupMember>();
  readonly output;
  readonly #options: GroupSenderOptions;
  readonly #socket: Socket;
  #player: Player | undefined;
  #joining = false;
  readonly #span: ParitySpan | undefined;
  // The packet that was sent last.
  #last: { readonly streamId: number; readonly packetId: number } | undefined;
  #closed = false;

  private constructor(options: GroupSenderOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#span = options.fec === 0 ? undefined : new ParitySpan(options.fec);
    this.group = options.group;
    socket.on('error', (error) => options.onError(error));
    this.output = {
      write: (bytes: Buffer) => this.#send(bytes),
      get backlog() {
        return socket.getSendQueueSize();
      },
      destroy: () => this.close(),
    };
    this.#join();
  }

  /** @throws MsbError for a span that cannot be; WmError WM_USAGE when there is no such interface, WM_UNREACHABLE when no network leads to the group */
  static async start(options: GroupSenderOptions): Promise<GroupSender> {
    const { group, ttl, interface: own } = options;
    const { socket } = await openSendingSocket({ ...group, ttl, interface: own });
    return new GroupSender(options, socket);
  }

  /** Ends it for the member; with the last one nothing is sent any more. */
  leave(member: GroupMember): void {
    this.members.delete(member);
    if (this.members.size === 0) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#player) this.#options.channel.broadcast.leave(this.#player);
    this.#socket.close();
    this.#options.onClose();
  }

  changed(): LaneFormat | undefined {
    this.#endSpan();
    const { stream } = this.#options.channel;
    if (!stream || !fitsDatagram(stream.header.packetSize)) {
      this.ended();
      return undefined;
    }
    for (const member of [...this.members]) member.changed();
    return stream.format;
  }

  ended(): void {
    this.#endSpan();
    this.#player = undefined;
    for (const member of [...this.members]) member.ended();
  }

  /** Goes on with what the broadcast carries after an end. */
  resume(): void {
    if (!this.#player && !this.#closed) this.#join();
  }

  #join(): void {
    const { channel } = this.#options;
    const { stream } = channel;
    if (!stream) return;
    // What a new player gets at once would be a flood here, and those who listen already have it.
    this.#joining = true;
    this.#player = channel.broadcast.join(this, stream.format);
    this.#joining = false;
  }

  #send(bytes: Buffer): void {
    if (this.#joining || this.#closed) return;
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readUInt32LE(at + 8);
      this.#sendPacket(bytes.subarray(at, at + size));
      at += size;
    }
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
    this.#put(buildPackets([{ location: packetId, bytes: span.add(payload) }], streamId, 0));
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
    if (!this.#closed) this.#socket.send(datagram, () => {});
  }
}

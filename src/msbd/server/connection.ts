import type { Socket } from 'node:net';
import { plainAddress } from '../../http/addresses.js';
import { peerOf } from '../../http/peer.js';
import type { Player } from '../../media/group.js';
import { socketOutput } from '../../media/socket-output.js';
import { EVERY_STREAM, type PlayerOutput, type PlayerSession, type Wanted } from '../../media/wire.js';
import type { SessionRegistry } from '../../playback/registry.js';
import { Refusal, type RefusalKind } from '../../refusal.js';
import { HR, MsbdError } from '../messages/base.js';
import type { ConnectRequest, MsbdDelivery } from '../messages/messages.js';
import { MessageReader } from '../messages/reader.js';
import type { Channel, ChannelStream } from './channel.js';
import { fitsDatagram, type GroupMember, type GroupSender } from './group-sender.js';
import type { MsbdPeer, MsbdServerOptions } from './options.js';
import { type ServerAction, ServerSession, type ServerTimers } from './session.js';

/** The server's state that connections share. */
export interface ConnectionHost {
  readonly options: MsbdServerOptions;
  readonly timers: ServerTimers;
  readonly now: () => number;
  /** The connections that receive a stream. */
  readonly players: Set<Connection>;
  readonly registry: SessionRegistry;
  channel(name: string, client: MsbdPeer): Promise<Channel | undefined>;
  /** @returns undefined if the server does not send to groups */
  group(channel: Channel): Promise<GroupSender | undefined>;
}

/** Bytes of headers that may wait for a client that does not read. */
const MAX_HEADERS_BEHIND = 64 * 1024 * 1024;

/** Bytes of answers that may wait for a client that asks but does not read. */
const MAX_ANSWERS_BEHIND = 8 * 1024 * 1024;

/** The hr of each refusal (3.1.5.1). */
const REFUSALS: Readonly<Record<RefusalKind, number>> = {
  'bad-request': HR.invalidArgument,
  unauthorized: HR.accessDenied,
  forbidden: HR.accessDenied,
  'not-found': HR.notFound,
  offline: HR.noStream,
  taken: HR.busy,
  gone: HR.notFound,
  unsupported: HR.invalidArgument,
  'too-large': HR.invalidArgument,
  'too-long': HR.invalidArgument,
  busy: HR.busy,
  throttled: HR.accessDenied,
  failed: HR.noStream,
};

/** One client's connection: the socket of a {@link ServerSession}, and its place in a broadcast or a group. */
export class Connection implements PlayerSession, GroupMember {
  readonly socket: Socket;
  readonly output: PlayerOutput;
  readonly #host: ConnectionHost;
  readonly #session: ServerSession;
  readonly #reader = new MessageReader();
  readonly #address: string;
  readonly #isLocal: boolean;
  // Aborted once the client wants nothing more.
  readonly #wanted = new AbortController();
  #name = '';
  /** Call when the client stops playing. */
  #played: (() => void) | undefined;
  #delivery: MsbdDelivery = 'tcp';
  #channel: Channel | undefined;
  #player: Player | undefined;
  #group: GroupSender | undefined;
  // Packets sent to it as a player of streams that have ended.
  #packets = 0;
  #skippedPackets = 0;

  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket;
    this.#host = host;
    this.#session = new ServerSession(host.timers, host.now());
    const { remoteAddress, local } = peerOf(socket);
    this.#address = plainAddress(remoteAddress);
    this.#isLocal = local;
    this.output = socketOutput(socket);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#gone());
  }

  tick(now: number): void {
    this.#perform(this.#session.tick(now));
  }

  /** Tells the client that nothing follows, and closes once that is sent. */
  finish(): void {
    this.#perform(this.#session.refuse(HR.noStream, this.#host.now()));
    this.#over();
    this.socket.end();
  }

  changed(): Wanted | undefined {
    const stream = this.#channel?.stream;
    if (!stream || this.output.backlog > MAX_HEADERS_BEHIND) {
      this.#over();
      return undefined;
    }
    this.#perform(this.#session.change(stream.messages, false));
    return { choice: EVERY_STREAM, wire: stream.wire };
  }

  ended(): void {
    this.#channel?.ended();
    const { hold = 0 } = this.#host.options;
    if (hold > 0) void this.#awaitNext(hold);
    else this.#over();
  }

  #receive(bytes: Buffer): void {
    try {
      for (const message of this.#reader.push(bytes)) {
        const actions = this.#session.receive(message, this.#host.now());
        const answers = actions.some(({ type }) => type === 'send');
        if (answers && this.output.backlog > MAX_ANSWERS_BEHIND) this.socket.destroy();
        else this.#perform(actions);
      }
    } catch (error) {
      this.socket.destroy();
      if (!(error instanceof MsbdError)) this.#host.options.onError?.(error);
    }
  }

  #perform(actions: readonly ServerAction[]): void {
    for (const action of actions) {
      if (action.type === 'send') this.socket.write(action.bytes);
      else if (action.type === 'connect') void this.#connect(action.request);
      else if (action.type === 'finish') {
        this.#leave();
        this.socket.end();
      } else this.socket.destroy();
    }
  }

  async #connect(request: ConnectRequest): Promise<void> {
    let refusal: number;
    try {
      refusal = await this.#open(request);
    } catch (error) {
      refusal = error instanceof Refusal ? REFUSALS[error.kind] : HR.noStream;
      if (!(error instanceof Refusal) && !this.#wanted.signal.aborted) this.#host.options.onError?.(error);
    }
    if (refusal === HR.ok) return;
    this.#wanted.abort();
    this.#perform(this.#session.refuse(refusal, this.#host.now()));
  }

  /** @returns {@link HR}.ok once the client plays or has gone, or the reason for a refusal */
  async #open({ delivery, channel: name }: ConnectRequest): Promise<number> {
    const { options } = this.#host;
    if (delivery === 'multicast' && !options.multicast) return HR.notFound;
    const channel = await this.#host.channel(name, {
      remoteAddress: this.#address,
      local: this.#isLocal,
      connection: this,
      signal: this.#wanted.signal,
    });
    if (!channel) return HR.notFound;
    const first = channel.broadcast.live ? channel.stream : undefined;
    if (!first) return HR.noStream;
    if (delivery === 'multicast' && !fitsDatagram(first.header.packetSize)) return HR.invalidArgument;
    const group = delivery === 'multicast' ? await this.#host.group(channel) : undefined;
    if (delivery === 'multicast' && !group) return HR.busy;
    this.#name = name;
    this.#delivery = delivery;
    this.#channel = channel;
    group?.members.add(this);
    this.#group = group;
    const { stream } = channel;
    const isWaiting = !this.socket.destroyed && this.#session.state === 'connecting';
    if (!isWaiting || !stream) {
      group?.leave(this);
      return stream ? HR.busy : HR.noStream;
    }
    this.#begin(stream);
    return HR.ok;
  }

  #begin(stream: ChannelStream): void {
    const { options, now } = this.#host;
    const group = this.#group?.group;
    const inNsc = options.inNsc?.(this.#channel!.broadcast) ?? false;
    this.#perform(this.#session.accept(stream.messages, group, inNsc, now()));
    if (!this.#session.streaming) {
      this.#leave();
      return;
    }
    this.#host.players.add(this);
    this.#register();
    this.#join(stream);
  }

  #register(): void {
    const { options, registry } = this.#host;
    const { broadcast } = this.#channel!;
    const name = this.#name.startsWith('/') ? this.#name : `/${this.#name}`;
    this.#played = registry.begin({
      role: 'player',
      protocol: 'MSBD',
      transport: this.#delivery,
      path: options.pathOf?.(broadcast, this.#name) ?? name,
      client: 'MSBD',
      remoteAddress: this.#address,
      content: () => ({ header: broadcast.header }),
      counts: () => ({
        bytes: this.socket.bytesWritten,
        packets: this.#packets + (this.#player?.sent ?? 0),
        lost: this.#skippedPackets + (this.#player?.skipped ?? 0),
      }),
      stop: () => this.finish(),
    });
  }

  #join({ wire }: ChannelStream): void {
    if (!this.#group) this.#player = this.#channel?.broadcast.join(this, EVERY_STREAM, wire);
  }

  /** Waits in case another stream follows, as when an encoder restarts. */
  async #awaitNext(hold: number): Promise<void> {
    this.#count();
    const { broadcast } = this.#channel!;
    await broadcast.nextHeader(hold);
    if (!this.#session.streaming) return;
    const stream = broadcast.live ? this.#channel!.stream : undefined;
    if (!stream) return this.#over();
    this.#perform(this.#session.change(stream.messages, true));
    this.#join(stream);
  }

  #over(): void {
    this.#perform(this.#session.end(this.#host.now()));
    this.#leave();
  }

  #leave(): void {
    this.#wanted.abort();
    this.#host.players.delete(this);
    if (this.#player) this.#channel?.broadcast.leave(this.#player);
    this.#count();
    this.#group?.leave(this);
    this.#group = undefined;
    this.#played?.();
    this.#played = undefined;
  }

  #count(): void {
    this.#packets += this.#player?.sent ?? 0;
    this.#skippedPackets += this.#player?.skipped ?? 0;
    this.#player = undefined;
  }

  #gone(): void {
    this.#session.closed();
    this.#leave();
  }
}

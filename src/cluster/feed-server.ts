import type { Socket } from 'node:net';
import type { AsfHeader } from '../asf/header.js';
import { messageOf } from '../errors.js';
import type { Broadcast, Follower } from '../media/broadcast.js';
import type { EndEvent } from '../media/events.js';
import type { BroadcastPacket, HeaderCause } from '../media/wire.js';
import { Refusal } from '../refusal.js';
import { FRAME, FrameReader, frameHead } from './frames.js';

/** A point to follow. */
export interface Fed {
  readonly broadcast: Broadcast;
  /**
   * Starts its source if that waits for players.
   *
   * @param pulls the pulls of servers that are waiting for it, as in the header field that lists them
   * @throws Refusal
   */
  demand(pulls: string): Promise<void>;
}

/** Bytes that may wait for the other process; beyond it packets are left out. */
const MAX_BACKLOG = 32 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/** Gives the points of this process to others of the same host, each over one connection. */
export class FeedServer {
  readonly #find: (path: string) => Fed | undefined;

  /** @param find returns the point at a path */
  constructor(find: (path: string) => Fed | undefined) {
    this.#find = find;
  }

  /** Serves a process until its connection closes. */
  serve(socket: Socket): void {
    const reader = new FrameReader();
    const followed = new Map<number, FeedFollower>();
    const leave = (channel: number) => {
      followed.get(channel)?.leave();
      followed.delete(channel);
    };
    socket.on('data', (chunk) => {
      for (const { type, channel, content } of reader.feed(chunk)) {
        if (type === FRAME.leave) leave(channel);
        if (type !== FRAME.follow) continue;
        leave(channel);
        const follower = new FeedFollower(socket, channel);
        followed.set(channel, follower);
        void this.#follow(follower, JSON.parse(content.toString('utf8')) as Wish);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const channel of [...followed.keys()]) leave(channel);
    });
  }

  async #follow(follower: FeedFollower, { path, pulls }: Wish): Promise<void> {
    try {
      const fed = this.#find(path);
      if (!fed) throw new Refusal('not-found', `There is nothing at ${path}.`);
      await fed.demand(pulls);
      if (!fed.broadcast.live) throw new Refusal('offline', `${path} is offline.`);
      follower.begin(fed.broadcast);
    } catch (error) {
      follower.refuse(error);
    }
  }
}

/** What a process asks for when it follows a point. */
export interface Wish {
  readonly path: string;
  readonly pulls: string;
}

/** One point for one process. */
class FeedFollower implements Follower {
  readonly #socket: Socket;
  readonly #channel: number;
  #broadcast: Broadcast | undefined;
  #left = false;
  #begun = false;
  #corked = false;

  constructor(socket: Socket, channel: number) {
    this.#socket = socket;
    this.#channel = channel;
  }

  /** Sends the header and what is kept, then everything as it arrives. */
  begin(broadcast: Broadcast): void {
    if (this.#left) return;
    this.#broadcast = broadcast;
    broadcast.follow(this);
    for (const { wire } of broadcast.since(0)) this.#write(FRAME.packet, wire);
  }

  refuse(error: unknown): void {
    const kind = error instanceof Refusal ? error.kind : 'failed';
    this.#write(FRAME.refused, Buffer.from(JSON.stringify({ kind, message: messageOf(error) })));
  }

  leave(): void {
    this.#left = true;
    this.#broadcast?.unfollow(this);
  }

  started(header: AsfHeader, cause: HeaderCause | 'run'): void {
    if (this.#begun && cause !== 'run') this.#write(FRAME.end, Buffer.of(1));
    this.#begun = true;
    this.#write(FRAME.header, header.bytes);
  }

  packet({ wire }: BroadcastPacket): number {
    if (this.#socket.writableLength < MAX_BACKLOG) this.#write(FRAME.packet, wire);
    // Nothing leaves this host.
    return 0;
  }

  ended({ moreEntries }: EndEvent): void {
    this.#write(FRAME.end, Buffer.of(moreEntries ? 1 : 0));
  }

  /** All that is written in one turn of the event loop goes out together. */
  #write(type: number, content: Buffer): void {
    if (this.#left || this.#socket.destroyed) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frameHead(type, this.#channel, content.length));
    this.#socket.write(content.length === 0 ? NOTHING : content);
  }
}

import type { Socket } from 'node:net';
import { parseHeader } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { AsfEvent } from '../media/events.js';
import { Refusal, type RefusalKind } from '../refusal.js';
import type { Wish } from './feed-server.js';
import { FRAME, type Frame, FrameReader, frameHead } from './frames.js';

/** Takes what a point of the other process sends. */
export interface FeedSink {
  event(event: AsfEvent): void;
  /** It sends nothing, or nothing more. */
  failed(error: WmError): void;
}

/** Follows points of another process of the same host, all of them over one connection. */
export class FeedClient {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #sinks = new Map<number, FeedSink>();
  #channels = 0;

  /** @param socket connected to a `FeedServer`; its owner notices when it closes */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      for (const frame of this.#reader.feed(chunk)) this.#take(frame);
    });
    socket.on('close', () => {
      const gone = new WmError('WM_SERVER_GONE', 'The process that has the point has ended.');
      for (const sink of [...this.#sinks.values()]) sink.failed(gone);
      this.#sinks.clear();
    });
  }

  /**
   * Follows a point: its header, what it keeps of the past, and everything as it arrives.
   *
   * @returns a function that ends it
   */
  follow(wish: Wish, sink: FeedSink): () => void {
    const channel = ++this.#channels;
    this.#sinks.set(channel, sink);
    this.#write(FRAME.follow, channel, Buffer.from(JSON.stringify(wish)));
    return () => {
      if (this.#sinks.delete(channel)) this.#write(FRAME.leave, channel, Buffer.alloc(0));
    };
  }

  #write(type: number, channel: number, content: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat([frameHead(type, channel, content.length), content]));
  }

  #take({ type, channel, content }: Frame): void {
    const sink = this.#sinks.get(channel);
    if (!sink) return;
    if (type === FRAME.refused) {
      const { kind, message } = JSON.parse(content.toString('utf8')) as { kind: RefusalKind; message: string };
      this.#sinks.delete(channel);
      sink.failed(new Refusal(kind, message));
    } else {
      sink.event(eventOf(type, content));
    }
  }
}

function eventOf(type: number, content: Buffer): AsfEvent {
  switch (type) {
    case FRAME.header:
      return { type: 'header', header: parseHeader(Buffer.from(content)) };
    case FRAME.packet:
      // A copy: the packets of one read would keep each other in memory.
      return { type: 'packet', packet: parsePacket(Buffer.from(content)) };
    case FRAME.end:
      return { type: 'end', moreEntries: content[0] === 1, reason: content[0] === 1 ? 1 : 0 };
    default:
      throw new WmError('WM_PROTOCOL', `A frame has the unknown type ${type}.`);
  }
}

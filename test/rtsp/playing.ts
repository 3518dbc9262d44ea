import type { AsfHeader } from '../../src/asf/header.js';
import type { DataPacket } from '../../src/asf/packet.js';
import { RtspClient, type RtspClientOptions } from '../../src/rtsp/client/client.js';
import { until } from '../support/until.js';

/** A client that plays, and what it has received. */
export class Playing {
  readonly client: RtspClient;
  readonly headers: AsfHeader[] = [];
  readonly packets: DataPacket[] = [];
  readonly notes: string[] = [];
  /** `header`, `packet` and `end` in their order. */
  readonly order: string[] = [];
  error: unknown;
  over = false;
  readonly done: Promise<void>;

  constructor(options: RtspClientOptions) {
    this.client = new RtspClient({ onNote: (text) => this.notes.push(text), ...options });
    this.done = this.#play();
  }

  get times(): number[] {
    return this.packets.map(({ sendTime }) => sendTime);
  }

  /** Waits for a number of packets in all. */
  async has(count: number): Promise<DataPacket[]> {
    await until(`${count} packets`, () => this.packets.length >= count || this.over);
    if (this.packets.length < count) throw this.error ?? new Error(`It ended after ${this.packets.length} packets.`);
    return this.packets;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.done;
  }

  async #play(): Promise<void> {
    try {
      for await (const event of this.client) {
        if (event.type === 'header') this.headers.push(event.header);
        else if (event.type === 'packet') this.packets.push(event.packet);
        this.order.push(event.type);
      }
    } catch (error) {
      this.error = error;
    }
    this.over = true;
  }
}

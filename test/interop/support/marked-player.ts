import { parsePacket } from '../../../src/asf/packet.js';
import { until } from '../../support/until.js';
import type { RawPeer } from '../../support/wire.js';
import { packetsOf, wirePlayer } from './wire.js';

/** The number of payload bytes that name an object of a synthetic stream. */
const MARK = 12;

/** A player of a synthetic stream that notes which media objects come, and whether any comes twice. */
export class MarkedPlayer {
  readonly #peer: RawPeer;

  private constructor(peer: RawPeer) {
    this.#peer = peer;
  }

  static async play(port: number, path: string): Promise<MarkedPlayer> {
    return new MarkedPlayer(await wirePlayer(port, path));
  }

  /** True if its server has ended the connection. */
  get ended(): boolean {
    return this.#peer.ended;
  }

  /** The objects that have begun so far, as `stream:number`, in order. */
  get objects(): string[] {
    return packetsOf(this.#peer.received).flatMap(({ id, payload }) => (id === 'D' ? objectsIn(payload) : []));
  }

  /** The objects that came more than once. */
  get twice(): string[] {
    const seen = new Set<string>();
    return this.objects.filter((object) => seen.has(object) || !seen.add(object));
  }

  /** The headers that it got. */
  get headers(): number {
    return packetsOf(this.#peer.received).filter(({ id }) => id === 'H').length;
  }

  /** Waits until so many more objects have come. */
  async plays(more: number, timeout?: number): Promise<void> {
    const enough = this.objects.length + more;
    await until(`${more} more objects`, () => this.objects.length >= enough || (this.ended && 'ended'), timeout);
    if (this.ended) throw new Error(`The player was disconnected after ${this.objects.length} objects.`);
  }

  close(): void {
    this.#peer.close();
  }
}

function objectsIn(bytes: Buffer): string[] {
  const packet = parsePacket(Buffer.from(bytes));
  return packet.payloads.flatMap(({ offset, dataStart, dataLength }) => {
    if (offset !== 0 || dataLength < MARK || packet.bytes.toString('latin1', dataStart, dataStart + 4) !== 'WMST')
      return [];
    return [`${packet.bytes[dataStart + 4]}:${packet.bytes.readUInt32LE(dataStart + 8)}`];
  });
}

import { jest } from '@jest/globals';
import { Broadcast, type BroadcastOptions } from '../../src/media/broadcast.js';
import { EVERY_STREAM } from '../../src/media/wire.js';
import { FakePlayer, textWire } from '../support/players.js';
import { type TestHeaderOptions, type TestPacketOptions, testHeader, testPacket } from '../support/stream.js';

const TICK = 100;
const KEY_DISTANCE = 500;

/** A broadcast fed with a packet every 100 ms of send time, and a key frame every 500 ms. */
export class Feed {
  readonly broadcast: Broadcast;
  sendTime = 0;
  now = 1;

  /** Needs jest's fake timers, which it takes over until {@link close}. */
  constructor(options: BroadcastOptions = {}, header: TestHeaderOptions = {}) {
    jest.useFakeTimers();
    this.broadcast = new Broadcast({ burst: 1000, batchInterval: TICK, now: () => this.now, ...options });
    this.broadcast.write({ type: 'header', header: testHeader(header) });
  }

  feed(packets: number, options: TestPacketOptions = {}): void {
    for (let index = 0; index < packets; index++) {
      const packet = testPacket(this.sendTime, { key: this.sendTime % KEY_DISTANCE === 0, ...options });
      this.broadcast.write({ type: 'packet', packet });
      this.sendTime += 100;
    }
  }

  deliver(): void {
    this.now += TICK;
    jest.advanceTimersByTime(TICK);
  }

  join(player = new FakePlayer(), wire = textWire()): FakePlayer {
    this.broadcast.join(player, EVERY_STREAM, wire);
    return player;
  }

  close(): void {
    jest.useRealTimers();
  }
}

/**
 * A server in a process of its own, in which nothing but its players takes memory. For each number of players that it is
 * sent, it waits until so many play and then answers with the bytes in use, those of buffers too.
 */
import { collectGarbage } from '../support/collect.js';
import { until } from '../support/until.js';
import { Station } from './station.js';

const station = await Station.open();
station.key();

/** How often the heap is measured: what is still on its way to sockets on a busy machine goes meanwhile. */
const ROUNDS = 20;

async function used(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    await collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

process.on('message', async (players: number) => {
  await until(`${players} players`, () => station.server.players === players);
  station.key();
  await station.settle();
  process.send!(await used());
});
process.on('disconnect', () => process.exit());
process.send!(station.port);

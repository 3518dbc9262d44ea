import { collectGarbage } from '../support/collect.js';
import { Feed } from './feed.js';

it('keeps what a player was given at once only until the next delivery', async () => {
  const feed = new Feed();
  feed.feed(33);
  const player = feed.join();
  const burst = new WeakRef(player.batches[0]!.bytes);
  player.batches.length = 0;
  await collectGarbage();
  // Another that joins now gets the same bytes.
  const next = feed.join();
  expect(next.batches[0]!.bytes === burst.deref()).toBe(true);
  feed.feed(1);
  feed.deliver();
  for (const each of [player, next]) each.batches.length = 0;
  await collectGarbage();
  expect(burst.deref()).toBeUndefined();
  feed.close();
});

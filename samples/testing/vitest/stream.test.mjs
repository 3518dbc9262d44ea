// Tests a player against a server, and an encoder against a point, without ffmpeg. Run it with: npm test
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pull, push, serve } from 'wmcast';

let server;

beforeAll(async () => {
  server = await serve();
});

afterAll(() => server.close());

test('a player gets what an encoder sends', async () => {
  const encoder = await push(server.url('/live'), { source: 'synthetic:seed=7' });
  await Promise.all([encoder.live, server.live('/live')]);
  // Replace this by your player: it connects to server.url('/live', 'mmsh').
  const player = pull(server.url('/live', 'mmsh'), { packets: 50, expect: 'video=wmv2,damaged=0,jump<1s' });
  expect((await server.playerJoined('/live')).protocol).toBe('WMSP');
  expect((await player.finished).packets).toBe(50);
  await encoder.close();
});

test('a damaged stream is noticed', async () => {
  const broken = await serve({ faults: 'corrupt=1/10,seed=7' });
  const encoder = await push(broken.url('/live'));
  await Promise.all([encoder.live, broken.live('/live')]);
  const player = pull(broken.url('/live'), { packets: 50, expect: 'damaged=0' });
  await expect(player.finished).rejects.toMatchObject({ code: 'WM_UNEXPECTED' });
  await encoder.close();
  await broken.close();
});

// wmcast is an ES module. CommonJS loads it with require() from Node.js 20.19 on, and with import() everywhere. Run it with: npm test
const assert = require('node:assert');
const { test } = require('node:test');

test('require() has everything', async () => {
  const { pull, push, serve } = require('wmcast');
  const server = await serve();
  const encoder = await push(server.url('/live'));
  await Promise.all([encoder.live, server.live('/live')]);
  const player = pull(server.url('/live', 'rtsp'), { packets: 20, expect: 'damaged=0' });
  assert.equal((await player.finished).packets, 20);
  await encoder.close();
  await server.close();
});

test('import() gives the same module', async () => {
  assert.equal((await import('wmcast')).serve, require('wmcast').serve);
});

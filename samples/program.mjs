// Injects a test stream into a program under test, from a test of yours: a server in this process, a push, and the URL to play.
//   npm install wmcast && node program.mjs
import { CaptureSource, defaultConfig, MediaServer, PushClient, pump, WmspClient } from 'wmcast';

const server = await MediaServer.start({ ...defaultConfig(), host: '127.0.0.1', httpPort: 0 });
try {
  const point = `127.0.0.1:${server.ports.http}/ci`;
  const source = new CaptureSource({ duration: 5, size: { width: 320, height: 240 } });
  const pushing = pump(source, [await PushClient.connect({ url: `http://${point}` })]);

  // In place of this client, start the player that you test with the same URL.
  let packets = 0;
  for await (const event of new WmspClient({ url: `mmsh://${point}`, reconnect: { retries: 20, first: true } })) {
    if (event.type === 'packet') packets++;
  }
  await pushing;
  console.log(`${packets} packets came from mmsh://${point}`);
  if (packets === 0) process.exitCode = 1;
} finally {
  await server.close();
}

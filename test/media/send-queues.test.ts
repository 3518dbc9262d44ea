import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { inFlight, lookAtSendQueues, readSendQueues } from '../../src/media/send-queues.js';
import { until } from '../support/until.js';

const onLinux = process.platform === 'linux' ? it : it.skip;

describe('what the operating system holds for a peer', () => {
  it('is read from the lists of connections, for either family', () => {
    const four = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 598407 1 0000000033134cc8 100 0 0 10 0
   1: 0100007F:1F90 0200007F:C350 01 0000A000:00000000 01:00000000 00000000     0        0 598408 1 0000000033134cc8 20 4 30 10 -1
   2: 0100007F:1F90 0300007F:C351 01 00000000:00000010 00:00000000 00000000     0        0 598409 1 0000000033134cc8 20 4 30 10 -1
`;
    const six = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt
   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000400007F:C352 08 00000FFF:00000000 00:00000000 00000000
   1: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C353 06 00000FFF:00000000 00:00000000 00000000
`;
    expect([...readSendQueues(four, six)]).toEqual([
      [0xc350, [{ name: '1F90 0200007F', bytes: 0xa000 }]],
      [0xc352, [{ name: '1F90 0400007F', bytes: 0xfff }]],
    ]);
    expect(readSendQueues('', 'garbage\n').size).toBe(0);
  });

  for (const address of ['127.0.0.1', '::1'])
    onLinux(`is known for a connection over ${address} whose peer does not read`, async () => {
      const server = createServer({ pauseOnConnect: true });
      const listening = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(0, address, () => resolve(true));
      });
      // A host need not have IPv6.
      if (!listening) return;
      const accepted = once(server, 'connection');
      const socket = connect((server.address() as AddressInfo).port, address);
      const [peer] = (await accepted) as [Socket];
      try {
        const looked = async () => (await lookAtSendQueues()) && inFlight(socket);
        await until('the list of connections', async () => (await looked()) === 0);
        const piece = Buffer.alloc(1024 * 1024);
        while (socket.writableLength < 2 * piece.length) {
          socket.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await until('what is held', async () => Number(await looked()) > 10_000);
        peer.on('data', () => {});
        peer.resume();
        await until('all to be taken', async () => (await looked()) === 0);
      } finally {
        socket.destroy();
        peer.destroy();
        server.close();
      }
    });
});

import { createServer } from 'node:net';
import { mayDecideAlone, reach } from '../../src/cluster/silence.js';

describe('servers that cannot be reached', () => {
  it('refuse if their program is gone, and are silent otherwise', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    expect(await reach('127.0.0.1', port, 5_000)).toBe('there');
    await new Promise((resolve) => {
      server.close(resolve);
    });
    expect(await reach('127.0.0.1', port, 5_000)).toBe('refused');
    // No program of any host can be reached there.
    expect(await reach('255.255.255.255', port, 5_000)).toBe('silent');
  });

  it('may decide without a node if a majority of at least three is silent', () => {
    expect(mayDecideAlone(['silent'])).toBe(false);
    expect(mayDecideAlone(['silent', 'silent'])).toBe(false);
    expect(mayDecideAlone(['there', 'silent', 'silent'])).toBe(true);
    expect(mayDecideAlone(['refused', 'silent', 'silent'])).toBe(true);
    expect(mayDecideAlone(['there', 'there', 'silent'])).toBe(false);
    expect(mayDecideAlone(['refused', 'refused', 'refused'])).toBe(false);
    expect(mayDecideAlone(['there', 'silent', 'silent', 'there'])).toBe(false);
  });
});

import { Duplex } from 'node:stream';
import { until } from '../support/until.js';
import { FakeHub } from './fake-bus.js';
import { House } from './house.js';

/** One end of a connection, which keeps what it gets. */
class End extends Duplex {
  taken = '';
  /** Writes that wait while it takes nothing. */
  held: (() => void) | undefined;
  slow = false;

  override _read(): void {}

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.taken += chunk.toString('latin1');
    if (this.slow) this.held = done;
    else done();
  }
}

describe('a connection that goes on at another node', () => {
  let a: House;
  let b: House;
  let client: End;
  let server: End;

  beforeEach(async () => {
    const hub = new FakeHub();
    [a, b] = [await House.join(hub, 'a'), await House.join(hub, 'b')];
    await until('the nodes to know each other', () => [a, b].every(({ node }) => node.others.length === 1));
    [client, server] = [new End(), new End()];
    b.node.tunnels.serve(async (about) => {
      if (about !== 'known') throw new Error('unknown');
      return server;
    });
  });

  afterEach(async () => {
    for (const { node } of [a, b]) await node.close();
  });

  const open = (about = 'known') => a.node.tunnels.open(b.node.self, client, Buffer.from('first '), about);

  it('brings bytes both ways in order, and its end', async () => {
    expect(await open()).toBe(true);
    client.push('second');
    await until('the bytes', () => server.taken === 'first second');
    server.push(Buffer.alloc(500_000, 'x'));
    server.push(null);
    await until('the end', () => client.writableFinished);
    expect(client.taken).toHaveLength(500_000);
  });

  it('waits for an end that takes no more', async () => {
    server.slow = true;
    await open();
    client.push(Buffer.alloc(100_000, 'y'));
    await until('the first bytes', () => server.held !== undefined);
    client.push('z');
    server.slow = false;
    server.held!();
    await until('the rest', () => server.taken.endsWith('z'));
    expect(server.taken).toHaveLength('first '.length + 100_001);
  });

  it('is cut at both ends, and stays with its node if the other does not take it', async () => {
    expect(await open('strange')).toBe(false);
    expect(client.destroyed).toBe(false);
    await open();
    client.destroy();
    await until('the other end', () => server.destroyed);
    expect([a, b].map(({ node }) => node.tunnels.count)).toEqual([0, 0]);
  });

  it('ends with the node that has it', async () => {
    await open();
    await b.node.close();
    await until('the client to be cut', () => client.destroyed);
  });
});

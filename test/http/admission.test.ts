import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Admission, type AdmissionOptions } from '../../src/http/admission.js';
import { HttpServer } from '../../src/http/server.js';
import { testTls } from '../support/tls.js';
import { until } from '../support/until.js';

let clock = 0;
let warnings: string[] = [];

function admission(options: Partial<AdmissionOptions> = {}): Admission {
  clock = 0;
  warnings = [];
  return new Admission({
    connections: 100,
    configured: true,
    now: () => clock,
    onWarning: (message) => warnings.push(message),
    outOfFiles: () => false,
    ...options,
  });
}

const admitted = (to: Admission, address: string, tries: number) =>
  Array.from({ length: tries }, () => to.admit(address)).filter(Boolean).length;

describe('Admission', () => {
  it('limits one address to half of the connections, or to the configured number', () => {
    expect(admitted(admission(), '192.0.2.1', 200)).toBe(50);
    expect(admitted(admission({ perAddress: 7 }), '192.0.2.1', 200)).toBe(7);
  });

  it('counts IPv4 in IPv6 form as the same address, and an IPv6 host by its network', () => {
    const limited = admission({ perAddress: 2 });
    expect(limited.admit('::ffff:192.0.2.1')).toBe(true);
    expect(admitted(limited, '192.0.2.1', 5)).toBe(1);
    expect(limited.admit('2001:db8::1')).toBe(true);
    expect(limited.admit('2001:db8:0:0:5:6:7:8')).toBe(true);
    expect(limited.admit('2001:db8::ffff')).toBe(false);
    expect(limited.admit('2001:db8:0:1::1')).toBe(true);
    expect(limited.admit('fe80::1%eth0')).toBe(true);
  });

  it('reserves some for this host, which has no limit of its own', () => {
    const limited = admission({ perAddress: 1_000 });
    expect(admitted(limited, '192.0.2.1', 200)).toBe(90);
    expect(admitted(limited, '127.0.0.1', 5)).toBe(5);
    expect(admitted(limited, '::1', 200)).toBe(5);
    expect(limited.connections).toBe(100);
  });

  it('admits a new connection for each that is closed', () => {
    const limited = admission({ perAddress: 2 });
    admitted(limited, '192.0.2.1', 3);
    limited.release('192.0.2.1');
    expect(limited.admit('192.0.2.1')).toBe(true);
    expect(limited.admit('192.0.2.1')).toBe(false);
    for (let count = 0; count < 5; count++) limited.release('192.0.2.1');
    expect(limited.connections).toBe(0);
  });

  it('admits at least one connection', () => {
    expect(admitted(admission({ connections: 1 }), '192.0.2.1', 3)).toBe(1);
  });

  it('reports refused connections at once, then their number once a minute', () => {
    const limited = admission({ perAddress: 2 });
    admitted(limited, '192.0.2.1', 10);
    expect(warnings).toEqual([
      '1 connection was turned away: 192.0.2.1 has the 2 that one address may have (limits.connectionsPerAddress).',
    ]);
    clock = 59_999;
    limited.sweep();
    expect(warnings).toHaveLength(1);
    clock = 60_000;
    limited.sweep();
    expect(warnings[1]).toMatch(/^7 connections were turned away: 192\.0\.2\.1 has /);
    clock = 200_000;
    limited.sweep();
    expect(warnings).toHaveLength(2);
  });

  it('reports when all are taken, and when the process has no files left', () => {
    const limited = admission({ perAddress: 100, outOfFiles: () => clock >= 100_000 });
    admitted(limited, '192.0.2.1', 91);
    expect(warnings).toEqual([
      '1 connection was turned away: 90 are open, of 100 that there may be (limits.connections).',
    ]);
    clock = 100_000;
    limited.sweep();
    expect(warnings[1]).toMatch(/^New connections were turned away: the process may open no more files /);
    clock = 200_000;
    limited.starved();
    expect(warnings).toHaveLength(3);
  });
});

describe('a server with an Admission', () => {
  const sockets: Socket[] = [];
  let servers: HttpServer[] = [];

  async function open(port: number, from: string): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from });
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await Promise.all(servers.map((server) => server.close(0)));
    servers = [];
  });

  it('closes excess connections, with TLS and without, and counts both together', async () => {
    const shared = admission({ connections: 20, perAddress: 3 });
    const errors: unknown[] = [];
    const options = { onRequest: () => {}, admission: shared, onError: (error: unknown) => errors.push(error) };
    const plain = new HttpServer(options);
    const secure = new HttpServer({ ...options, tls: testTls });
    servers = [plain, secure];
    const [port, tlsPort] = [await plain.listen(0, '127.0.0.1'), await secure.listen(0, '127.0.0.1')];
    await open(port, '127.0.0.2');
    await open(port, '127.0.0.2');
    await open(tlsPort, '127.0.0.2');
    await until('three connections', () => shared.connections === 3);
    for (const taken of [port, tlsPort]) {
      const refused = await open(taken, '127.0.0.2');
      refused.resume();
      if (!refused.closed) await once(refused, 'close');
    }
    expect(shared.connections).toBe(3);
    await open(port, '127.0.0.3');
    await until('four connections', () => shared.connections === 4);
    for (const socket of sockets.splice(0)) socket.destroy();
    await until('no connections', () => shared.connections === 0);
    expect(errors).toEqual([]);
    expect(warnings).toHaveLength(1);
  });
});

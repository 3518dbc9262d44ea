import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';

/** What a proxy makes of a text that one side sends, Latin-1. @param request what the client has sent so far */
export type Rewrite = (text: string, request: string) => string;

const proxies: Server[] = [];

/** A proxy that changes what a client or a server sends. @returns its port */
export async function proxyWith(port: number, rewrite: { client?: Rewrite; server?: Rewrite }): Promise<number> {
  const change = (bytes: Buffer, by: Rewrite | undefined, request: string) =>
    by ? Buffer.from(by(bytes.toString('latin1'), request), 'latin1') : bytes;
  const proxy = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    let request = '';
    for (const socket of [client, server]) socket.on('error', () => {});
    client.on('data', (bytes: Buffer) => {
      if (request.length < 10_000) request += bytes.toString('latin1');
      server.write(change(bytes, rewrite.client, request));
    });
    server.on('data', (bytes: Buffer) => client.write(change(bytes, rewrite.server, request)));
    server.on('close', () => client.end());
    client.on('close', () => server.end());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  proxies.push(proxy);
  return (proxy.address() as AddressInfo).port;
}

export function closeProxies(): void {
  for (const proxy of proxies.splice(0)) proxy.close();
}

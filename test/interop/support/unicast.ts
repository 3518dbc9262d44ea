import { type Command, newPoint, Server } from './commands.js';
import { makeAsf, newFolder } from './content.js';

/** Films of the content folder, with their length in seconds. */
type Films = Readonly<Record<string, number>>;

/** A server that speaks MMSP or RTSP, with films and a live point. */
export class UnicastServer {
  readonly server: Server;
  readonly folder: string;
  /** The path of the live point. */
  readonly point: string;
  readonly port: number;
  readonly #push: Command;

  private constructor(server: Server, folder: string, point: string, port: number, push: Command) {
    this.server = server;
    this.folder = folder;
    this.point = point;
    this.port = port;
    this.#push = push;
  }

  /** @param args more arguments of `wmcast serve` */
  static async start(protocol: 'mms' | 'rtsp', films: Films, ...args: string[]): Promise<UnicastServer> {
    const folder = newFolder();
    for (const [name, duration] of Object.entries(films)) await makeAsf(name, { duration, folder });
    const server = await Server.start(`--${protocol}-port`, '0', '--content', folder, ...args);
    const { ports } = (await server.event('ready')) as unknown as { ports: Readonly<Record<string, number>> };
    const point = newPoint();
    const push = await server.publish(point);
    return new UnicastServer(server, folder, point, ports[protocol]!, push);
  }

  url(scheme: string, path: string): string {
    return `${scheme}://127.0.0.1:${this.port}${path}`;
  }

  async stop(): Promise<void> {
    await this.#push.stop();
    await this.server.stop();
  }
}

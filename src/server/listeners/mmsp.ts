import { MmspServer, type MmspServerOptions } from '../../mmsp/server/server.js';
import { pathOf } from '../content/paths.js';
import type { Given, LentPort, Listener, ServerPorts } from './listener.js';

/** The port of an MMSP server, and its options. */
export interface MmspListenerOptions extends Omit<MmspServerOptions, 'pathOf' | 'version'> {
  /** The port for TCP and UDP; 0 picks a free one, `none` opens none. */
  readonly port: number | 'none';
  readonly host?: string | undefined;
  /** Returns the URL of content of another server that a client means; undefined for this one. @throws Refusal */
  readonly targetOf?: ((path: string, host: string | undefined) => string | undefined) | undefined;
  readonly given?: Given | undefined;
  /** The version reported to clients. */
  readonly version: string;
}

/** The MMSP side of a server. */
export class MmspListener implements Listener {
  readonly name = 'mms';
  readonly groupBytes = 0;
  readonly #server: MmspServer;
  readonly #port: number | 'none';
  readonly #host: string | undefined;
  readonly #given: Given | undefined;
  #listens = false;

  constructor({ port, host, given, targetOf, ...options }: MmspListenerOptions) {
    this.#server = new MmspServer({
      ...options,
      onStranger: given ? (...about) => given.strangersDatagram(...about) : options.onStranger,
      pathOf: (fileName, target) => {
        const path = pathOfFile(fileName);
        return targetOf?.(path, target) ?? path;
      },
    });
    this.#given = given;
    this.#port = port;
    this.#host = host;
  }

  get connections(): number {
    return this.#server.connections;
  }

  async start(): Promise<ServerPorts> {
    if (this.#port === 'none') return {};
    if (this.#given?.udp) {
      this.#server.attach(this.#given.udp);
      this.#given.serve('mms', (socket) => this.#server.take(socket));
      this.#given.serveDatagrams((bytes, address) => this.#server.datagram(bytes, address));
      this.#listens = true;
      return { mms: this.#given.ports.mms ?? this.#port };
    }
    const mms = await this.#server.listen(this.#port, this.#host);
    this.#listens = true;
    return { mms };
  }

  async close(): Promise<void> {
    if (this.#listens) await this.#server.close();
  }

  lend(): LentPort | undefined {
    if (!this.#listens) return undefined;
    const { listener: server, udp } = this.#server;
    return {
      name: 'mms',
      server,
      udp,
      take: (socket) => this.#server.take(socket),
      takeDatagram: (bytes, address) => this.#server.datagram(bytes, address),
    };
  }
}

/**
 * Converts a fileName to a path: it has no percent-encoding and usually no leading slash (MS-MMSP 2.2.4.21). @throws
 * Refusal
 */
function pathOfFile(fileName: string): string {
  const [path = ''] = fileName.split('?', 1);
  return pathOf(`/${encodeURI(path.replace(/^\/+/, '')).replaceAll('%25', '%')}`);
}

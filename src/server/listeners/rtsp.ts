import { RtspServer, type RtspServerOptions } from '../../rtsp/server/server.js';
import { pathOf } from '../content/paths.js';
import type { Given, LentPort, Listener, ServerPorts } from './listener.js';

/** The ports of an RTSP server, and its options. */
export interface RtspListenerOptions extends Omit<RtspServerOptions, 'pathOf'> {
  /** Of TCP; 0 takes a free one, `none` is nowhere. */
  readonly port: number | 'none';
  readonly host?: string | undefined;
  /** Returns the URL of content of another server that a client means; undefined for this one. @throws Refusal */
  readonly targetOf?: ((path: string, url: string) => string | undefined) | undefined;
  /** Of UDP, the first of a pair; 0 takes any pair; default 5004 if that is free. */
  readonly rtpPort?: number | undefined;
  readonly given?: Given | undefined;
}

/** The RTSP side of a server. */
export class RtspListener implements Listener {
  readonly name = 'rtsp';
  readonly groupBytes = 0;
  readonly #server: RtspServer;
  readonly #port: number | 'none';
  readonly #host: string | undefined;
  readonly #rtpPort: number | undefined;
  readonly #given: Given | undefined;
  #listens = false;

  constructor({ port, host, rtpPort, given, targetOf, ...options }: RtspListenerOptions) {
    this.#server = new RtspServer({
      ...options,
      pathOf: (url) => {
        const path = pathOf(url);
        return targetOf?.(path, url) ?? path;
      },
    });
    this.#port = port;
    this.#host = host;
    this.#rtpPort = rtpPort;
    this.#given = given;
  }

  get connections(): number {
    return this.#server.connections;
  }

  async start(): Promise<ServerPorts> {
    if (this.#port === 'none') return {};
    if (this.#given) {
      await this.#server.attach(this.#host, this.#given.rtpPorts(this.#rtpPort));
      this.#given.serve('rtsp', (socket) => this.#server.take(socket));
      this.#listens = true;
      return { rtsp: this.#given.ports.rtsp ?? this.#port };
    }
    const rtsp = await this.#server.listen(this.#port, this.#host, this.#rtpPort);
    this.#listens = true;
    return { rtsp };
  }

  async close(): Promise<void> {
    if (this.#listens) await this.#server.close();
  }

  lend(): LentPort | undefined {
    if (!this.#listens) return undefined;
    return { name: 'rtsp', server: this.#server.listener, take: (socket) => this.#server.take(socket) };
  }
}

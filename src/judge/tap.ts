import { connect, createServer, type Server, type Socket } from 'node:net';
import { listenTcp } from '../http/listen.js';
import type { ConnectionRecorder, Recorder, Side } from './recording.js';

/** Passes TCP connections on to a server of our own, and records both directions. */
export class Tap {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #open = 0;
  #changed: () => void = () => {};
  /** The port it listens on. */
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /**
   * @param to the port of our server on 127.0.0.1
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED for an address that cannot be used
   */
  static async listen(
    recorder: Recorder,
    place: { readonly host?: string; readonly port: number },
    to: number,
  ): Promise<Tap> {
    let tap: Tap | undefined;
    const server = createServer({ noDelay: true }, (client) =>
      tap?.pass(client, connect(to, '127.0.0.1'), recorder.open()),
    );
    tap = new Tap(server, await listenTcp(server, place));
    return tap;
  }

  /** Connections that both sides have open. */
  get open(): number {
    return this.#open;
  }

  /** Waits until something is so, looking again after each event of a connection. @returns false after `timeout` ms */
  until(isSo: () => boolean, timeout: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (result: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        this.#changed = () => {};
        resolve(result);
      };
      const stop = () => done(false);
      const timer = setTimeout(stop, timeout);
      signal.addEventListener('abort', stop, { once: true });
      this.#changed = () => {
        if (isSo()) done(true);
      };
      if (signal.aborted) stop();
      else this.#changed();
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  private pass(client: Socket, server: Socket, record: ConnectionRecorder): void {
    this.#open++;
    let isOver = false;
    const over = () => {
      if (!isOver) this.#open--;
      isOver = true;
      this.#changed();
    };
    this.#carry(client, server, record, 'client', over);
    this.#carry(server, client, record, 'server', over);
    this.#changed();
  }

  #carry(from: Socket, to: Socket, record: ConnectionRecorder, side: Side, over: () => void): void {
    this.#sockets.add(from);
    from.on('data', (bytes: Buffer) => {
      record.add(side, bytes);
      if (!to.write(bytes)) from.pause();
      this.#changed();
    });
    to.on('drain', () => from.resume());
    from.on('end', () => {
      record.ended(side, false);
      to.end();
      over();
    });
    from.on('error', () => record.ended(side, true));
    from.on('close', () => {
      record.ended(side, true);
      this.#sockets.delete(from);
      to.destroy();
      over();
    });
  }
}

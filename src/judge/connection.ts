import { connect, type Socket } from 'node:net';
import { messageOf } from '../errors.js';
import { PACKET_ID } from '../framing/framing.js';
import { type Dialog, readDialog } from './exchanges.js';
import type { ConnectionRecord, ConnectionRecorder, Recorder } from './recording.js';

/** A TCP connection to the program that is judged. Everything in both directions is recorded. */
export class JudgeConnection {
  readonly #socket: Socket;
  readonly #recorder: ConnectionRecorder;
  #changed: () => void = () => {};
  #sawEnd = false;

  private constructor(socket: Socket, recorder: ConnectionRecorder) {
    this.#socket = socket;
    this.#recorder = recorder;
    let failed = false;
    socket.on('data', (bytes: Buffer) => {
      recorder.add('server', bytes);
      this.#sawEnd ||= holdsEnd(bytes);
      this.#changed();
    });
    socket.on('end', () => {
      recorder.ended('server', false);
      this.#changed();
    });
    socket.on('error', () => {
      failed = true;
    });
    socket.on('close', () => {
      recorder.ended('server', failed);
      this.#changed();
    });
  }

  /**
   * Connects.
   *
   * @param label what the connection is for
   * @returns a message if that fails within `timeout` ms
   */
  static open(
    recorder: Recorder,
    { host, port, label, timeout }: { host: string; port: number; label: string; timeout: number },
  ): Promise<JudgeConnection | string> {
    return new Promise((resolve) => {
      const socket = connect({ host, port, noDelay: true });
      const done = (result: JudgeConnection | string) => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        socket.on('error', () => {});
        if (typeof result === 'string') socket.destroy();
        resolve(result);
      };
      const timer = setTimeout(() => done(`no connection within ${timeout} ms`), timeout);
      socket.once('error', (error) => done(messageOf(error)));
      socket.once('connect', () => done(new JudgeConnection(socket, recorder.open(label))));
    });
  }

  get record(): ConnectionRecord {
    return this.#recorder.record;
  }

  get closed(): boolean {
    return this.record.end !== undefined;
  }

  read(): Dialog {
    return readDialog(this.record);
  }

  send(bytes: Buffer): void {
    this.#recorder.add('client', bytes);
    this.#socket.write(bytes);
  }

  /** Waits until as many responses are complete, or `timeout` ms, or the end. @returns true if they are */
  answered(count: number, timeout: number): Promise<boolean> {
    return this.#until(
      () => this.read().exchanges.filter(({ response }) => response?.complete).length >= count,
      timeout,
    );
  }

  /** Receives until the connection or the stream ends, or for `time` ms. */
  async receive(time: number): Promise<void> {
    await this.#until(() => this.#sawEnd, time);
  }

  close(): void {
    this.#recorder.ended('client', false);
    this.#socket.destroy();
  }

  async #until(isSo: () => boolean, timeout: number): Promise<boolean> {
    if (isSo()) return true;
    return new Promise((resolve) => {
      const done = (result: boolean) => {
        clearTimeout(timer);
        this.#changed = () => {};
        resolve(result);
      };
      const timer = setTimeout(() => done(false), timeout);
      this.#changed = () => {
        if (isSo()) done(true);
        else if (this.closed) done(false);
      };
      this.#changed();
    });
  }
}

/** True if bytes hold a $E packet with Reason 0, which ends a stream (MS-WMSP 2.2.3.4). */
function holdsEnd(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(PACKET_ID.endOfStream); at >= 0; at = bytes.indexOf(PACKET_ID.endOfStream, at + 1)) {
    const isEnd = at > 0 && (bytes[at - 1]! & 0x7f) === 0x24 && bytes.length >= at + 7;
    if (isEnd && bytes.readUInt16LE(at + 1) === 4 && bytes.readUInt32LE(at + 3) === 0) return true;
  }
  return false;
}

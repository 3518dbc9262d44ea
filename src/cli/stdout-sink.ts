import type { Writable } from 'node:stream';
import { AsfError } from '../asf/error.js';
import { AsfFileBuilder } from '../asf/file.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

/**
 * Writes plain ASF to a pipe, in the form of a live stream: the header, full-size packets, and nothing else. When the
 * header changes, the new one follows in the stream.
 */
export class StdoutSink implements AsfSink {
  readonly #stream: Writable;
  #builder: AsfFileBuilder | undefined;
  #error: unknown;

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream;
    stream.once('error', (error) => {
      this.#error = error;
    });
  }

  /**
   * @throws WmError WM_DISK if standard output is a file and cannot be written; a reader that is gone is not an error
   */
  write(event: AsfEvent): void | Promise<void> {
    this.#check();
    switch (event.type) {
      case 'header':
        this.#builder = new AsfFileBuilder(event.header);
        return this.#put(this.#builder.start());
      case 'packet':
        return this.#put(this.#packet(event));
      case 'end':
        return undefined;
    }
  }

  /**
   * Waits until all data has left this process.
   *
   * @throws WmError WM_DISK as {@link write}
   */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#stream.destroyed) resolve();
      else
        this.#stream.write('', (error) => {
          this.#error ??= error ?? undefined;
          resolve();
        });
    });
    this.#check();
  }

  #check(): void {
    if (this.#error === undefined || systemErrorCode(this.#error) === 'EPIPE') return;
    const reason = systemErrorReason(this.#error);
    throw new WmError('WM_DISK', `Standard output cannot be written: ${reason}.`, { cause: this.#error });
  }

  #packet({ packet }: Extract<AsfEvent, { readonly type: 'packet' }>): Buffer {
    try {
      return this.#builder?.packet(packet) ?? Buffer.alloc(0);
    } catch (error) {
      // A packet that is too long for its header, which no reader would accept.
      if (error instanceof AsfError) return Buffer.alloc(0);
      throw error;
    }
  }

  #put(bytes: Buffer): void | Promise<void> {
    if (bytes.length === 0 || this.#stream.write(bytes)) return;
    return new Promise((resolve) => {
      const go = () => {
        this.#stream.removeListener('drain', go);
        this.#stream.removeListener('close', go);
        resolve();
      };
      this.#stream.on('drain', go);
      this.#stream.on('close', go);
    });
  }
}

import type { Writable } from 'node:stream';
import { AsfError } from '../asf/error.js';
import { AsfFileBuilder } from '../asf/file.js';
import type { AsfEvent, AsfSink } from '../media/events.js';

/**
 * Writes plain ASF to a pipe, in the form of a live stream: the header, packets of full size, and nothing behind them. Another header
 * stands where it changes.
 */
export class StdoutSink implements AsfSink {
  readonly #stream: Writable;
  #builder: AsfFileBuilder | undefined;

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream;
  }

  write(event: AsfEvent): void | Promise<void> {
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

  /** Waits until everything is out of this process. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.destroyed) resolve();
      else this.#stream.write('', () => resolve());
    });
  }

  #packet({ packet }: Extract<AsfEvent, { readonly type: 'packet' }>): Buffer {
    try {
      return this.#builder?.packet(packet) ?? Buffer.alloc(0);
    } catch (error) {
      // One that is too long for its header, which no reader would take.
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

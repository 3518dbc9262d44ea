import type { NscFile } from '../announce/nsc.js';
import { type AsfHeader, parseHeader } from '../asf/header.js';
import { WmError } from '../errors.js';
import type { TlsTrust } from '../http/connection.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { isNscLocation, openNsc } from './open-nsc.js';
import { MulticastReceiver, type MulticastReceiverOptions } from './receiver.js';

export interface MsbClientOptions extends Omit<MulticastReceiverOptions, 'nsc' | 'nscUrl' | 'reload'> {
  /** A path or an http:// or https:// URL of an .nsc file. */
  readonly url: string;
  /** For https://. */
  readonly tls?: TlsTrust | undefined;
  /** Reads the .nsc file, in place of a request for the URL. */
  readonly read?: (() => Promise<NscFile>) | undefined;
}

/** What an .nsc file names. */
export interface MsbDescription {
  /** That of the .nsc file, or the Unicast URL when that is received. */
  readonly url: string;
  readonly live: true;
  /** The first that the file has. */
  readonly header: AsfHeader;
  readonly group: { readonly address: string; readonly port: number };
}

/** What an .nsc file announces, as a source: see {@link MulticastReceiver}. */
export class MsbClient implements AsfSource {
  readonly #options: MsbClientOptions;
  #nsc: NscFile | undefined;
  #receiver: MulticastReceiver | undefined;
  #closed = false;

  /** @throws WmError WM_USAGE when the URL is not that of an .nsc file, and nothing else reads it */
  constructor(options: MsbClientOptions) {
    if (!options.read && !isNscLocation(options.url))
      throw new WmError('WM_USAGE', `${options.url} does not name an .nsc file.`);
    this.#options = options;
  }

  /** What there is, without joining the group. @throws WmError as {@link openNsc} */
  static async describe({
    url,
    read,
    ...options
  }: Pick<MsbClientOptions, 'url' | 'onNote' | 'tls' | 'read'>): Promise<MsbDescription> {
    return describe(url, await (read?.() ?? openNsc(url, options)));
  }

  /** Known when the first header comes. */
  get description(): MsbDescription | undefined {
    if (!this.#nsc || !this.#receiver) return undefined;
    const url = this.#receiver.unicast ? (this.#nsc.unicastUrl ?? this.#options.url) : this.#options.url;
    return describe(url, this.#nsc);
  }

  /** Counts since the start. */
  get stats(): { readonly reconnects: 0; damagedPackets: number; lostPackets: number; recoveredPackets: number } {
    const { malformed = 0, lost = 0, recovered = 0, overflow = 0 } = this.#receiver?.stats ?? {};
    return { reconnects: 0, damagedPackets: malformed, lostPackets: lost + overflow, recoveredPackets: recovered };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    const { url, onNote, tls, read = () => openNsc(url, { onNote, tls }), ...rest } = this.#options;
    const isRemote = /^\s*https?:/i.test(url);
    this.#nsc = await read();
    this.#receiver = new MulticastReceiver({
      ...rest,
      onNote,
      nsc: this.#nsc,
      nscUrl: isRemote ? url.trim() : undefined,
      reload: read,
    });
    if (this.#closed) await this.#receiver.close();
    yield* this.#receiver;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#receiver?.close();
  }
}

function describe(url: string, { address, port, formats }: NscFile): MsbDescription {
  return { url, live: true, header: parseHeader(formats[0]!.header), group: { address, port } };
}

import type { NscFile } from '../../announce/nsc.js';
import { type AsfHeader, parseHeader } from '../../asf/header.js';
import { WmError } from '../../errors.js';
import type { TlsTrust } from '../../http/connection.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import { isNscLocation, openNsc } from './open-nsc.js';
import { MulticastReceiver, type MulticastReceiverOptions } from './receiver.js';

/** @public */
export interface MsbClientOptions extends Omit<MulticastReceiverOptions, 'nsc' | 'nscUrl' | 'reload'> {
  /** A path or an http:// or https:// URL of an .nsc file. */
  readonly url: string;
  /** Certificates to trust, for https://. */
  readonly tls?: TlsTrust | undefined;
  /** Reads the .nsc file instead of requesting the URL. */
  readonly read?: (() => Promise<NscFile>) | undefined;
}

/** The stream that an .nsc file announces. @public */
export interface MsbDescription {
  /** The URL of the .nsc file, or the Unicast URL while that is received. */
  readonly url: string;
  readonly live: true;
  /** The first header in the .nsc file. */
  readonly header: AsfHeader;
  readonly group: { readonly address: string; readonly port: number };
}

/** The stream that an .nsc file announces, as a source: see {@link MulticastReceiver}. @public */
export class MsbClient implements AsfSource {
  readonly #options: MsbClientOptions;
  #nsc: NscFile | undefined;
  #receiver: MulticastReceiver | undefined;
  #closed = false;

  /** @throws WmError WM_USAGE if the URL is not that of an .nsc file and there is no `read` */
  constructor(options: MsbClientOptions) {
    if (!options.read && !isNscLocation(options.url))
      throw new WmError('WM_USAGE', `${options.url} does not name an .nsc file.`);
    this.#options = options;
  }

  /** Describes the stream without joining the group. @throws WmError as {@link openNsc} */
  static async describe({
    url,
    read,
    ...options
  }: Pick<MsbClientOptions, 'url' | 'onNote' | 'tls' | 'read'>): Promise<MsbDescription> {
    return describe(url, await (read?.() ?? openNsc(url, options)));
  }

  /** Known once the first header arrives. */
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

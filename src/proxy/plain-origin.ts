import type { AsfHeader } from '../asf/header.js';
import { WmError } from '../errors.js';
import type { AddressGuard } from '../http/address-guard.js';
import { HttpClient, type StreamedResponse } from '../http/client.js';
import type { TlsTrust } from '../http/connection.js';
import { endpointOf, type HttpUrl } from '../http/http-url.js';
import type { Field } from '../http/message.js';
import { statusError } from '../http/status-error.js';
import { type Relayed, relayedFields } from '../wms/relayed.js';
import { ContentChanged, type FetchedPacket } from './fetch.js';

/** A file on a web server. */
export interface PlainOriginOptions {
  readonly url: HttpUrl;
  /** The Last-Modified field of the content, by which the origin says whether it is still the same. */
  readonly lastModified: string;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly relayed?: Relayed | undefined;
  readonly authorization?: string | undefined;
  readonly tls?: TlsTrust | undefined;
  readonly guard?: AddressGuard | undefined;
  /** In ms, for connecting, for the answer, and for the next bytes of it; default: 10 000. */
  readonly timeout?: number | undefined;
}

const TIMEOUT = 10_000;
/** Not a name of a player: to those, servers of this protocol do not give files as they are. */
const USER_AGENT = 'wmcast';

/**
 * The file of an origin as it is, by GET and Range (RFC 9110 14). It counts only if it begins with the very header that
 * players are told, and is as long as that says: then packet n is at its place in it.
 */
export class PlainOrigin {
  readonly #options: PlainOriginOptions;
  #isSame: boolean | undefined;
  /** The answer that showed that it is the same, and the bytes after the header that came with it. */
  #first: { readonly http: HttpClient; readonly response: StreamedResponse; readonly rest: Buffer } | undefined;

  constructor(options: PlainOriginOptions) {
    this.#options = options;
  }

  /** Finds out whether the file is what players get, by the first request for it. */
  async isSame(header: AsfHeader): Promise<boolean> {
    this.#isSame ??= await this.#compare(header.bytes).catch(() => false);
    return this.#isSame;
  }

  /** @param header that of {@link isSame} */
  async *fetch(
    { packet }: { readonly packet: number },
    signal: AbortSignal,
    header: AsfHeader,
  ): AsyncGenerator<readonly FetchedPacket[], void, undefined> {
    const { packetSize } = header;
    const count = Number(header.dataObject.packetCount);
    const first = packet === 0 ? this.#first : undefined;
    if (!first) this.#first?.http.destroy();
    this.#first = undefined;
    const { http, response, rest } = first ?? (await this.#request(header.bytes.length + packet * packetSize, true));
    const stop = () => http.destroy();
    signal.addEventListener('abort', stop, { once: true });
    try {
      let pending = rest;
      for (let next = packet; next < count; ) {
        const whole = Math.min(Math.floor(pending.length / packetSize), count - next);
        if (whole > 0) {
          const packets: FetchedPacket[] = [];
          for (let at = 0; at < whole; at++) {
            packets.push({ location: next + at, bytes: pending.subarray(at * packetSize, (at + 1) * packetSize) });
          }
          pending = pending.subarray(whole * packetSize);
          next += whole;
          yield packets;
          continue;
        }
        const piece = await response.body.next(this.#options.timeout ?? TIMEOUT);
        if (!piece) return;
        pending = pending.length === 0 ? piece : Buffer.concat([pending, piece]);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      http.destroy();
    }
  }

  close(): void {
    this.#first?.http.destroy();
    this.#first = undefined;
  }

  async #compare(header: Buffer): Promise<boolean> {
    const first = await this.#request(0, false);
    let rest = first.rest;
    while (rest.length < header.length) {
      const piece = await first.response.body.next(this.#options.timeout ?? TIMEOUT);
      if (!piece) break;
      rest = Buffer.concat([rest, piece]);
    }
    if (rest.length >= header.length && rest.subarray(0, header.length).equals(header)) {
      this.#first = { ...first, rest: rest.subarray(header.length) };
      return true;
    }
    first.http.destroy();
    return false;
  }

  /** @param known true if the file is known to be the same: anything else means that it has changed */
  async #request(position: number, known: boolean) {
    const { url, lastModified, size, relayed, authorization, tls, guard, timeout = TIMEOUT } = this.#options;
    const http = await HttpClient.connect({ ...endpointOf(url, tls), guard, timeout });
    try {
      const fields: Field[] = [
        ['Host', url.authority],
        ['User-Agent', USER_AGENT],
        ['Accept-Encoding', 'identity'],
        ['Range', `bytes=${position}-`],
        ['If-Range', lastModified],
        ...(relayed ? relayedFields(relayed) : []),
        ...(authorization === undefined ? [] : [['Authorization', authorization] as const]),
        ['Connection', 'close'],
      ];
      http.send('GET', url.path, fields, undefined, { streamed: true });
      const response = await http.streamedResponse(timeout);
      const { status, headers } = response.head;
      const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('Content-Range')?.trim() ?? '');
      const fits = status === 206 && Number(range?.[1]) === position && Number(range?.[2]) === size;
      if (fits && headers.get('Last-Modified') === lastModified) return { http, response, rest: Buffer.alloc(0) };
      if (known && status < 300) throw new ContentChanged(url.href);
      if (status >= 300) throw statusError(response.head, url.href);
      throw new WmError('WM_PROTOCOL', `${url.href} is not given as a file.`);
    } catch (error) {
      http.destroy();
      throw error;
    }
  }
}

import { WmError } from '../../errors.js';
import type { Field } from '../../framing/text-head.js';
import {
  type FecParameters,
  type Ports,
  type RtpInfo,
  readTransports,
  type Transport,
  writeFec,
  writeStreamUrl,
} from '../messages/headers.js';
import type { RtspResponse } from '../messages/message.js';
import { controlUrl, RTX_STREAM, type Sdp, type SdpFec, type SdpMedia } from '../messages/sdp.js';

/** A stream that was set up. */
export interface SetUpStream {
  readonly stream: number;
  /** Its URL, as in the SETUP. */
  readonly url: string;
  /** Undefined if the server does not say. */
  readonly ssrc: number | undefined;
}

/** Returns the media sections of streams that are wanted, in the order of the SDP. */
export function wantedMedia(sdp: Sdp, chosen: ReadonlySet<number>): SdpMedia[] {
  return sdp.media.filter(({ stream, format }) => format === 'x-asf-pf' && chosen.has(stream));
}

/** Returns the media section of the retransmission stream. */
export function rtxMedia(sdp: Sdp): SdpMedia | undefined {
  return sdp.media.find(({ stream, format }) => stream >= RTX_STREAM && format === 'x-wms-rtx');
}

/** The Transport of a SETUP over the connection. @param index of the stream: each has two channels */
export function tcpTransport(index: number): Field {
  const channel = index * 2;
  return ['Transport', `RTP/AVP/TCP;unicast;interleaved=${channel}-${channel + 1};mode=PLAY`];
}

/** The Transport of a SETUP over UDP (MS-RTSP 2.2.6.11): one port for media, a pair for retransmissions. */
export function udpTransport([first, second]: Ports): Field {
  const ports = second === undefined ? `${first}` : `${first}-${second}`;
  return ['Transport', `RTP/AVP/UDP;unicast;client_port=${ports};mode=PLAY`];
}

/** The Transport of a SETUP of FEC packets (MS-RTSP 2.2.6.11); they come to the port of media. */
export function fecTransport(port: number, fec: FecParameters): Field {
  return ['Transport', `RTP/AVP/UDP;unicast;client_port=${port};mode=PLAY;${writeFec(fec)}`];
}

/** Returns the URL of the FEC packets of a stream (MS-RTSP 2.2.5.4). @param request the URL of the DESCRIBE */
export function fecUrl(request: string, sdp: Sdp, { control }: SdpFec): string {
  return checkedUrl(controlUrl(sdp, control, request), request);
}

/** Reads the Transport of a response. @throws WmError WM_PROTOCOL if it is not the one that was asked for */
export function grantedTransport({ headers }: RtspResponse, asked: 'tcp' | 'udp', url: string): Transport {
  const [transport] = readTransports(headers.get('Transport') ?? '');
  if (transport?.protocol === asked) return transport;
  throw new WmError('WM_PROTOCOL', `The server answered the SETUP of ${url} without ${asked.toUpperCase()}.`);
}

/**
 * Returns where each SSRC begins or ends, by the URLs of RTP-Info. Real servers send all streams under the SSRC of the
 * first one; what they say of the others never comes.
 */
export function numbersBySsrc(infos: readonly RtpInfo[], streams: Iterable<SetUpStream>): Map<number, number> {
  const known = [...streams];
  const numbers = new Map<number, number>();
  for (const { url, sequence, ssrc } of infos) {
    const owner = ssrc ?? known.find((stream) => isSameUrl(stream.url, url))?.ssrc;
    if (owner !== undefined && sequence !== undefined && !numbers.has(owner)) numbers.set(owner, sequence);
  }
  return numbers;
}

/** X-RTP-Info of a PLAY: the predicted streams that are kept, without parameters (MS-RTSP 2.2.6.27). */
export function keptStreams(urls: readonly string[]): Field[] {
  return urls.length === 0 ? [] : [['X-RTP-Info', urls.map((url) => `url=${writeStreamUrl(url)}`).join(', ')]];
}

/** Servers may write the host in another way, or a relative URL. */
export function isSameUrl(own: string, other: string): boolean {
  if (own === other) return true;
  const path = (url: string) => url.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/\/$/, '');
  return path(own) === path(other) || own.endsWith(`/${other}`);
}

/** Returns the URL of a stream. @param request the URL of the DESCRIBE @throws WmError WM_PROTOCOL if it is no URL */
export function urlOf(sdp: Sdp, media: SdpMedia, request: string): string {
  return checkedUrl(controlUrl(sdp, media.control, request), request);
}

function checkedUrl(url: string, request: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(url)) return url;
  throw new WmError('WM_PROTOCOL', `The SDP of ${request} gives a stream no usable URL.`);
}

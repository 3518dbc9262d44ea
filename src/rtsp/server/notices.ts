import type { Field } from '../../framing/text-head.js';
import { levelOf, type StreamSelection } from '../../playback/selection.js';
import {
  type EndReason,
  type RtpInfo,
  type Transport,
  writeEndOfStream,
  writeRtpInfo,
  writeXRtpInfo,
} from '../messages/headers.js';
import { RTX_STREAM, type Sdp, type SdpMedia, writeSdp } from '../messages/sdp.js';
import type { Delivery } from './delivery.js';
import { BLOCK_SIZE } from './wire.js';

/** X-Notice of EndOfStream (MS-RTSP 2.2.6.18). */
const END_NOTICE = '2101 "End-of-Stream Reached"';

/** A request of the server to its client. */
export interface Notice {
  readonly method: 'ANNOUNCE' | 'SET_PARAMETER';
  readonly fields: readonly Field[];
  readonly body: Buffer;
}

/** What a notice says of its session. */
export interface NoticeFacts {
  readonly session: string;
  readonly genId: number;
  /** The URL of the presentation; ends in a slash. */
  readonly base: string;
  /** The streams that are sent. */
  readonly selected: readonly SdpMedia[];
  /** The number of the next RTP packet, unbounded. */
  readonly number: number;
}

/** Returns the media of streams of which anything is sent. */
export function selectedMedia(sdp: Sdp, selection: StreamSelection): SdpMedia[] {
  return sdp.media.filter(({ stream }) => stream < RTX_STREAM && levelOf(selection, stream) < 2);
}

/** EndOfStream (MS-RTSP 2.2.7.3, 3.2.4.1). */
export function endOfStream({ session, genId, base, selected, number }: NoticeFacts, reason: EndReason): Notice {
  const streams = selected
    .filter(({ kind }) => kind !== 'application')
    .map(({ control }) => ({ url: base + control, sequence: number }));
  return {
    method: 'SET_PARAMETER',
    fields: [
      ['Session', session],
      ['X-Playlist-Gen-Id', `${genId}`],
      ['X-Notice', END_NOTICE],
      ...(streams.length > 0 ? [['RTP-Info', writeRtpInfo(streams)] as const] : []),
      ['Content-Type', 'application/x-wms-extension-cmd'],
    ],
    body: Buffer.from(writeEndOfStream(session, reason), 'latin1'),
  };
}

/** The streams of another entry that go on without being asked for, and how. */
export interface Prediction {
  readonly selection: StreamSelection;
  /** As in the response to a SETUP. */
  readonly transport: Omit<Transport, 'unicast'> | undefined;
  /** The FEC packets that go on, too. */
  readonly fec?: Delivery['fec'];
}

/** X-RTP-Info; FEC packets have a URL of their own (MS-RTSP 3.2.4.2). */
function writePrediction(
  { transport, fec }: Prediction,
  base: string,
  streams: readonly RtpInfo[],
  selected: readonly SdpMedia[],
): string {
  const media = writeXRtpInfo(streams, transport, BLOCK_SIZE);
  const urls = selected.flatMap((each) => (each.fec ? [base + each.fec.control] : []));
  if (!fec || !transport || urls.length === 0) return media;
  const infos = urls.map((url): RtpInfo => ({ url, ssrc: fec.ssrc, thinning: 0 }));
  return `${media}, ${writeXRtpInfo(infos, { ...transport, fec: fec.parameters }, BLOCK_SIZE)}`;
}

/**
 * Announce (MS-RTSP 2.2.7.1, 3.2.4.2).
 *
 * @param prediction undefined if the client has to choose
 * @param more X-Broadcast-Id, Cache-Control and the like
 */
export function announcement(
  { session, genId, base, selected, number }: NoticeFacts,
  sdp: Sdp,
  prediction: Prediction | undefined,
  more: readonly Field[],
): Notice {
  const streams = selected.map(
    ({ control, stream }): RtpInfo => ({
      url: base + control,
      sequence: number,
      rtpTime: 0,
      ssrc: prediction?.transport?.ssrc,
      thinning: prediction ? levelOf(prediction.selection, stream) : 0,
    }),
  );
  const predicted = prediction && writePrediction(prediction, base, streams, selected);
  return {
    method: 'ANNOUNCE',
    fields: [
      ['Session', session],
      ['X-Playlist-Gen-Id', `${genId}`],
      ...(predicted === undefined ? [] : [['X-RTP-Info', predicted] as const]),
      ...more,
      ['Content-Type', 'application/sdp'],
    ],
    body: Buffer.from(writeSdp(sdp), 'utf8'),
  };
}

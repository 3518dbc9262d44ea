import { GUID, randomGuid } from '../../asf/guid.js';
import { buildHeader } from '../../asf/header.js';
import type { Exchange } from '../../http/exchange.js';
import type { Field } from '../../http/message.js';
import type { Redirect } from '../../playback/content.js';
import { endPacket, headerPackets } from '../messages/packets.js';
import type { Handling } from './handling.js';

// In ms, as MS-WMSP 3.2.5.4 recommends for a header that only redirects.
const REDIRECT_PREROLL = 479;
const MAX_SCRIPT_URL = 256;

/** The header fields of a response that redirects a client. */
export interface RedirectFields {
  /** The fields of every response. */
  readonly plain: readonly Field[];
  /** Returns the fields of a successful Describe or Play, for a header that redirects; they name a session. */
  content(): readonly Field[];
}

/**
 * Redirects a client (MS-WMSP 3.2.5.4): with 302 or 305, or, below 7.0, with an ASF header whose script command opens
 * the other URL. A Play gets that header as well, followed by $E.
 */
export function sendElsewhere(
  exchange: Exchange,
  { redirect, proxy }: Redirect,
  { type, profile }: Pick<Handling, 'type' | 'profile'>,
  fields: RedirectFields,
): void {
  const takesHeader = type === 'Describe' || type === 'Play';
  if (proxy || profile.redirection === 'status' || !takesHeader) {
    exchange.respond({ status: proxy ? 305 : 302, fields: [...fields.plain, ['Location', redirect]], close: true });
  } else if (redirect.length > MAX_SCRIPT_URL) {
    exchange.respond({ status: 500, fields: fields.plain, close: true });
  } else {
    const header = headerPackets(scriptHeader(redirect));
    const isPlay = type === 'Play';
    const contentType = isPlay ? 'application/x-mms-framed' : 'application/vnd.ms.wms-hdr.asfv1';
    const body = isPlay ? Buffer.concat([header, endPacket(0)]) : header;
    const all: Field[] = [['Content-Type', contentType], ...fields.content()];
    exchange.respond({ status: 200, fields: all, body, close: true });
  }
}

/** Builds an ASF header that contains only a FILENAME command. */
function scriptHeader(url: string): Buffer {
  const fileId = randomGuid();
  const header = buildHeader(
    [
      {
        type: 'fileProperties',
        fileId,
        fileSize: 0n,
        creationDate: 0n,
        dataPacketsCount: 0n,
        playDuration: 0n,
        sendDuration: 0n,
        preroll: REDIRECT_PREROLL,
        flags: 0,
        minimumPacketSize: 1400,
        maximumPacketSize: 1400,
        maximumBitrate: 0,
      },
      { type: 'headerExtension', objects: [] },
      {
        type: 'streamProperties',
        streamType: GUID.commandMedia,
        errorCorrectionType: GUID.noErrorCorrection,
        timeOffset: 0n,
        flags: 1,
        reserved: 0,
        typeSpecificData: Buffer.alloc(0),
        errorCorrectionData: Buffer.alloc(0),
      },
      {
        type: 'scriptCommand',
        reserved: GUID.reserved3,
        commandTypes: ['FILENAME'],
        commands: [{ presentationTime: REDIRECT_PREROLL, typeIndex: 0, name: url }],
      },
    ],
    { fileId, size: 50n, packetCount: 0n },
  );
  return header.bytes;
}

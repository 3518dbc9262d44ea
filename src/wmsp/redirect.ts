import { GUID, randomGuid } from '../asf/guid.js';
import { buildHeader } from '../asf/header.js';
import type { Exchange } from '../http/exchange.js';
import type { Field } from '../http/message.js';
import { headerPackets } from './packets.js';
import type { Redirect } from './program.js';
import type { ClientProduct } from './requests.js';

// What MS-WMSP 3.2.5.4 recommends for a header that only redirects, in ms.
const REDIRECT_PREROLL = 479;
const MAX_SCRIPT_URL = 256;

/**
 * Sends a client elsewhere (MS-WMSP 3.2.5.4): with 302 or 305, or, below 7.0, with an ASF header whose script command opens the
 * other URL.
 *
 * @param fields of every response
 */
export function sendElsewhere(
  exchange: Exchange,
  { redirect, proxy }: Redirect,
  client: ClientProduct,
  fields: readonly Field[],
): void {
  // Requests of other methods have an empty answer.
  if (proxy || client.major >= 7 || exchange.request.method !== 'GET') {
    exchange.respond({ status: proxy ? 305 : 302, fields: [...fields, ['Location', redirect]], close: true });
  } else if (redirect.length > MAX_SCRIPT_URL) {
    exchange.respond({ status: 500, fields, close: true });
  } else {
    const body = headerPackets(scriptHeader(redirect));
    const type: Field = ['Content-Type', 'application/vnd.ms.wms-hdr.asfv1'];
    exchange.respond({ status: 200, fields: [type, ...fields], body, close: true });
  }
}

/** An ASF header that holds nothing but a FILENAME command. */
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

import { CookieJar } from '../../src/http/cookie-jar.js';
import type { ResponseHead } from '../../src/http/message.js';
import { HeaderFields } from '../../src/http/message.js';
import { type WmspPacket, WmspPacketReader } from '../../src/wmsp/client/packets.js';
import { defaultIdentity } from '../../src/wmsp/client/product.js';
import { DEFAULT_LINK, type PlayParameters } from '../../src/wmsp/client/requests.js';
import { WmspClientSession } from '../../src/wmsp/client/session.js';
import type { ClientAction, ClientSessionOptions } from '../../src/wmsp/client/session-actions.js';
import { parseWmspUrl } from '../../src/wmsp/client/url.js';
import { ENTRY, media, packets } from './client-support.js';

export const PLAY: PlayParameters = {
  startTime: 0,
  rate: 1,
  maxDuration: 0,
  speed: 1,
  streams: [{ source: undefined, destination: 1, level: 0 }],
  link: DEFAULT_LINK,
  prediction: true,
};
export const COUGAR9 = 'Cougar/9.6.7600.16385';
export const ALL_FEATURES = 'com.microsoft.wm.predstrm, com.microsoft.wm.sswitch, com.microsoft.wm.srvppair';
const [MEDIA = Buffer.alloc(0)] = media(1);
export const [M, H] = readPackets(ENTRY);
export const D = packetOf(packets.D(0, MEDIA));

export function readPackets(bytes: Buffer): WmspPacket[] {
  const reader = new WmspPacketReader();
  reader.push(bytes);
  const all: WmspPacket[] = [];
  for (let packet = reader.next(); packet; packet = reader.next()) all.push(packet);
  return all;
}

export function packetOf(bytes: Buffer): WmspPacket {
  return readPackets(bytes)[0]!;
}

export const E = (reason = 0) => packetOf(packets.E(reason));
export const C = (reason = 0) => packetOf(packets.C(reason));

export function newSession(options: Partial<ClientSessionOptions> = {}): WmspClientSession {
  return new WmspClientSession({
    identity: defaultIdentity('NSPlayer'),
    guid: '{G}',
    url: parseWmspUrl('http://srv/x'),
    cookies: new CookieJar(),
    tolerant: false,
    pipelined: false,
    packetPair: false,
    authenticationSchemes: [],
    buildLog: (kind, form) => `${kind} log ${form}`,
    ...options,
  });
}

export function response(fields: Record<string, string | string[]> = {}, status = 200): ResponseHead {
  const all = Object.entries({ Server: COUGAR9, Pragma: 'no-cache, client-id=5, timeout=60000', ...fields });
  const entries = all.flatMap(([name, value]) => [value].flat().map((each) => [name, each] as const));
  return { status, reason: 'X', minorVersion: 0, headers: new HeaderFields(entries) };
}

/** The sent requests: their type, and where. */
export function sent(actions: readonly ClientAction[]): string[] {
  return actions.flatMap((action) => (action.type === 'send' ? [`${action.request.type} ${action.on}`] : []));
}

export const types = (actions: readonly ClientAction[]) => actions.map(({ type }) => type);

/** A session that has been described. */
export function described(
  options: Partial<ClientSessionOptions> = {},
  fields: Record<string, string> = {},
): WmspClientSession {
  const session = newSession(options);
  session.describe();
  session.streamResponse(response(fields), 0);
  for (const packet of [M!, H!]) if (packet !== M || !/4\.|Rex/.test(fields['Server'] ?? '')) session.packet(packet, 0);
  session.bodyEnded();
  return session;
}

/** A session that streams, non-pipelined. */
export function streaming(
  options: Partial<ClientSessionOptions> = {},
  fields: Record<string, string> = {},
): WmspClientSession {
  const session = described(options, fields);
  session.startStreaming(PLAY);
  session.streamResponse(response(fields), 0);
  for (const packet of [M!, H!, D]) {
    if (packet !== M || !/4\.|Rex/.test(fields['Server'] ?? '')) session.packet(packet, 0);
  }
  return session;
}

/** A session that streams, pipelined. */
export function pipelined(): WmspClientSession {
  const session = described({ pipelined: true }, { Pragma: 'client-id=5, pipeline-experiment=1' });
  session.startStreaming(PLAY);
  session.streamResponse(response(), 0);
  session.packet(packetOf(packets.T()), 0);
  session.streamResponse(response({ Pragma: 'pipeline-result=1' }, 204), 0);
  session.streamResponse(response(), 0);
  for (const packet of [M!, H!, D]) session.packet(packet, 0);
  return session;
}

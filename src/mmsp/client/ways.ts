import { randomBytes } from 'node:crypto';
import { Absence } from '../../receiving/absence.js';
import type { LinkContext, Way } from '../../receiving/link.js';
import { anonymousPlayerId } from '../../wmlog/client-log.js';
import { type MmspFacts, type MmspPeer, MmspPullLink, newGuid } from './pull-link.js';
import { parseMmsUrl } from './url.js';

type Choices = Pick<MmspPeer, 'packetPair' | 'rate' | 'speed' | 'log'>;

/** How to receive content by MMSP. */
export interface MmspWayOptions
  extends Omit<MmspPeer, keyof Choices | 'url' | 'guid' | 'playerId' | 'absence' | 'onNote'>,
    Partial<{ readonly [choice in keyof Choices]: Choices[choice] | undefined }> {
  /** `mms://`, `mmst://` or `mmsu://`. */
  readonly url: string;
  readonly onNote?: ((text: string) => void) | undefined;
}

/** How long datagrams may fail to arrive after the server has begun to send, in ms. */
const FIRST_PACKET_WITHIN = 6_000;

/**
 * Returns the ways to the content of a URL by MMSP: UDP before TCP, as players try them, and TCP only for `mmst://`.
 *
 * @throws WmError WM_USAGE for an unusable URL
 */
export function mmspWays(options: MmspWayOptions): Array<Way<MmspFacts>> {
  const url = parseMmsUrl(options.url);
  const { packetPair = false, rate = 1, speed = 1, log = true, onNote } = options;
  const peer: MmspPeer = {
    ...options,
    url,
    guid: newGuid(),
    playerId: anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase()),
    absence: new Absence(),
    ...{ packetPair, rate, speed, log },
    onNote: (text) => onNote?.(text),
  };
  const connect = (transport: 'tcp' | 'udp') => (context: LinkContext) => new MmspPullLink(peer, transport, context);
  const tcp = { name: `MMS over TCP to ${url.authority}`, connect: connect('tcp') };
  const udp = {
    name: `MMS over UDP to ${url.authority}`,
    connect: connect('udp'),
    firstPacketWithin: FIRST_PACKET_WITHIN,
  };
  if (url.transport === 'tcp') return [tcp];
  return [udp, tcp];
}

import type { AddressGuard } from '../http/address-guard.js';
import { mmspWays } from '../mmsp/client/ways.js';
import type { PullLink, SourceFacts, Way } from '../receiving/link.js';
import type { PullChain } from '../receiving/pull-chain.js';
import { Received } from '../receiving/received.js';
import { rtspWays } from '../rtsp/client/client.js';
import type { Relayed } from '../wms/relayed.js';

/** How content is requested by another protocol than HTTP. */
export interface OtherLinkOptions {
  readonly relayed: Relayed;
  readonly pullChain?: PullChain | undefined;
  readonly guard?: AddressGuard | undefined;
  readonly speed: number;
  readonly onNote: (text: string) => void;
}

/** True for a URL of content that players of MMS or RTSP name, whose origin is asked by the same protocol. */
export function isOther(url: string): boolean {
  return /^(?:mms|rtsp):\/\//.test(url);
}

/** Returns a URL whose media come over the connection: a proxy reaches origins that see no datagrams of it. */
export function overTcp(url: string): string {
  return url.replace(/^(mms|rtsp):/, '$1t:');
}

/** Makes sessions with an origin that players of MMS or RTSP name. @throws WmError WM_USAGE for an unusable URL */
export function otherLinks(url: string, options: OtherLinkOptions): () => PullLink<SourceFacts> {
  const shared = { ...options, url: overTcp(url), led: true, log: false };
  const ways: ReadonlyArray<Way<SourceFacts>> = url.startsWith('mms:')
    ? mmspWays(shared)
    : rtspWays({ ...shared, identity: 'WMCacheProxy' });
  return () => ways[0]!.connect({ received: new Received(), header: undefined, reconnects: 0 });
}

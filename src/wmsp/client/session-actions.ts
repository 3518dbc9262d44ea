import type { ClientLogKind } from '../../wmlog/client-log.js';
import type { WmspRequestType } from '../messages/requests.js';
import type { KnowledgeOptions } from './knowledge.js';
import type { ReceivedMetadata } from './packets.js';
import type { ClientRequest } from './requests.js';

/** The Client-State of MS-WMSP 3.1.1. */
export type ClientState = 'INIT' | 'STREAMING' | 'IDLE';

/** The KeepAlive-Mode of MS-WMSP 3.1.1. */
export type KeepAliveMode = 'non-pipelined' | 'pipelined';

/**
 * Why an ASF header arrived: in a Describe or Play response, for another playlist entry ($C, or only $E with Reason 1),
 * or without notice.
 */
export type HeaderOccasion = 'describe' | 'play' | 'change' | 'next' | 'unannounced';

/** The actions that the session asks its owner for, or its reports, in order. */
export type ClientAction =
  /** Send a request on the streaming connection, which is opened if necessary, or on its own connection. */
  | { readonly type: 'send'; readonly on: 'stream' | 'own'; readonly request: ClientRequest }
  | { readonly type: 'closeStream' }
  /** Close the connection and describe again: at another URL, or through a proxy. */
  | { readonly type: 'redirect'; readonly location: string; readonly proxy: boolean }
  /** The server (401) or a proxy (407) requires credentials: send the request again with them. */
  | { readonly type: 'challenge'; readonly request: WmspRequestType }
  | { readonly type: 'metadata'; readonly metadata: ReceivedMetadata }
  /** After a `change` the owner calls {@link WmspClientSession.nextEntry}. */
  | { readonly type: 'header'; readonly bytes: Buffer; readonly cause: HeaderOccasion }
  | { readonly type: 'data'; readonly location: number; readonly bytes: Buffer }
  /** The $E of an entry that was streaming: 0 is the end, 1 means more entries follow, otherwise an HRESULT. */
  | { readonly type: 'end'; readonly reason: number }
  /** The server went back to the previous playlist entry and waits (MS-WMSP 3.1.5.14). */
  | { readonly type: 'movedBack' }
  /** The packet-pair estimate. */
  | { readonly type: 'bandwidth'; readonly bitsPerSecond: number }
  /** A note for the user. */
  | { readonly type: 'note'; readonly text: string };

/** How a client plays, and what it tells the server about it. */
export interface ClientSessionOptions extends KnowledgeOptions {
  /** True to offer the pipelined mode. */
  readonly pipelined: boolean;
  /** True to ask for $P packets. */
  readonly packetPair: boolean;
  /** Returns the text of a Log, or of a remote-log event; undefined to send none. */
  readonly buildLog: (kind: ClientLogKind, form: 'xml' | 'line') => string | undefined;
}

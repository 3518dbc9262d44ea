import type { Field } from '../../framing/text-head.js';
import type { PlayerOutput } from '../../media/wire.js';

/** The way from a session to its client: a TCP connection, another one after the first was lost. */
export interface SessionLink {
  /** The address that the connection comes from, in the form of a socket's: datagrams go there and nowhere else. */
  readonly address: string;
  /** As people write it. */
  readonly remoteAddress: string;
  /** This end's address. */
  readonly localAddress: string;
  /** True if datagrams to the address of the connection reach the client: no proxy is in between. */
  readonly offersUdp: boolean;
  readonly bytesWritten: number;
  /** The output over TCP: interleaved frames. */
  readonly tcp: PlayerOutput;
  /** Sends a request of the server, such as EndOfStream. */
  request(method: string, url: string, fields: readonly Field[], body: Buffer): void;
  /** Ends the connection once what was sent is out. */
  end(): void;
}

import { AsfError } from './error.js';
import type { AsfHeader } from './header.js';
import type { DataPacket } from './packet.js';

export type AsfItem =
  | { readonly type: 'header'; readonly header: AsfHeader }
  | { readonly type: 'packet'; readonly packet: DataPacket }
  /** A top-level index object behind the data, whole. */
  | { readonly type: 'index'; readonly bytes: Buffer };

/** Takes a file or a live pipe in chunks of any size and gives the header, the packets and the index objects. */
export class AsfReader {
  /** Packets that could not be read and were dropped, or of which payloads were dropped. */
  damagedPackets = 0;
  /** The input ended in the middle of something. */
  truncated = false;
  /** The last header that was read. */
  header: AsfHeader | undefined;

  /** @throws AsfError when the input is not ASF, or its header cannot be used */
  push(chunk: Buffer): AsfItem[] {
    throw new AsfError(`Not implemented (${chunk.length} ${this.truncated}).`);
  }

  /** Says that nothing more comes. @throws AsfError when not even a header came */
  end(): AsfItem[] {
    throw new AsfError(`Not implemented (${this.truncated}).`);
  }
}

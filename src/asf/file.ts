import { AsfError } from './error.js';
import type { AsfHeader } from './header.js';
import type { DataPacket } from './packet.js';

/** Makes a file of a header and packets, with an index and true counts at the end; memory grows with the index only. */
export class AsfFileBuilder {
  readonly header: AsfHeader;

  constructor(header: AsfHeader) {
    this.header = header;
  }

  /** The header as it stands while the file grows: marked live, so that a cut file still plays. */
  start(): Buffer {
    throw new AsfError(`Not implemented (${this.header.fileId}).`);
  }

  /** The packet as it goes into the file: of full size. @throws AsfError when it is longer than the packet size */
  packet(packet: DataPacket): Buffer {
    throw new AsfError(`Not implemented (${packet.sendTime}).`);
  }

  /** What to append, and the final header (as long as that of `start`) to write at offset 0. */
  finish(): { trailer: Buffer; header: Buffer } {
    throw new AsfError(`Not implemented (${this.header.fileId}).`);
  }
}

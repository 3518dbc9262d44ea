import { AsfError } from './error.js';
import type { AsfHeader } from './header.js';

export interface LiveHeaderOptions {
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly description?: string;
  readonly rating?: string;
  /** Raw GUID; default: kept, or a new one when it is zero. */
  readonly fileId?: string;
  /** Creation date for headers that have none. */
  readonly now?: Date;
  /** Bits per second by stream number, packet overhead included. */
  readonly bitrates?: ReadonlyMap<number, number>;
  /** Bytes. */
  readonly packetSize?: number;
}

/** The header as clients of a live stream get it (asf.md 10.7). */
export function liveHeader(header: AsfHeader, options: LiveHeaderOptions = {}): AsfHeader {
  throw new AsfError(`Not implemented (${header.fileId} ${options.title}).`);
}

/** Whether packets under one header may follow packets under the other: they differ in nothing that describes streams. */
export function sameLayout(a: AsfHeader, b: AsfHeader): boolean {
  throw new AsfError(`Not implemented (${a.fileId} ${b.fileId}).`);
}

/** What a person or a program wants to know of a stream. */
export interface StreamDescription {
  readonly number: number;
  readonly type: string;
  /** For example `WMV2`, `WMA 2`. */
  readonly codec: string;
  /** Bits per second; 0 unknown. */
  readonly bitrate: number;
  readonly encrypted: boolean;
  readonly hidden: boolean;
  readonly language?: string;
  readonly width?: number;
  readonly height?: number;
  readonly framesPerSecond?: number;
  readonly channels?: number;
  readonly samplesPerSecond?: number;
}

/** The streams of a header, in words. */
export function describeStreams(header: AsfHeader): StreamDescription[] {
  throw new AsfError(`Not implemented (${header.fileId}).`);
}

import type { AsfHeader } from '../../asf/header.js';
import { WmError } from '../../errors.js';
import type { ReaderOptions, StartPosition, StartupProfile, StartupProfileOptions, StreamChoice } from './options.js';
import { OnDemandReader } from './reader.js';

export type {
  OnDemandBatch,
  OnDemandItem,
  ReaderOptions,
  StartPosition,
  StartupProfile,
  StartupProfileOptions,
  StreamChoice,
} from './options.js';

/** One open ASF file, shared by all its players. */
export class OnDemandFile {
  declare readonly path: string;
  declare readonly header: AsfHeader;
  declare readonly packetCount: number;
  declare readonly packetSize: number;
  declare readonly durationMs: number;
  declare readonly size: number;
  declare readonly modified: Date;
  declare readonly seekable: boolean;
  declare readonly stridable: boolean;

  static open(path: string): Promise<OnDemandFile> {
    return Promise.reject(new WmError('WM_NO_INPUT', `${path} cannot be opened yet.`));
  }

  locate(_position: StartPosition, _choice: StreamChoice): Promise<number> {
    return Promise.resolve(0);
  }

  reader(_options: ReaderOptions): OnDemandReader {
    return new OnDemandReader();
  }

  startupProfile(_from: number, _options: StartupProfileOptions): Promise<StartupProfile | undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

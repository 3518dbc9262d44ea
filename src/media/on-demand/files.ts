import { OnDemandFile } from './file.js';

export interface OnDemandFilesOptions {
  /** Files open at once; default 256. */
  readonly maxFiles?: number;
  /** Milliseconds that a file stays open behind its last player; default 5000. */
  readonly linger?: number;
}

/** The open files of a server, by path. */
export class OnDemandFiles {
  constructor(_options: OnDemandFilesOptions = {}) {}

  acquire(path: string): Promise<OnDemandFile> {
    return OnDemandFile.open(path);
  }

  release(_file: OnDemandFile): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

import { steadyNow } from '../clock.js';
import { messageOf } from '../errors.js';
import { type CredentialStore, type UserEntry, userKey } from './store.js';
import { readUserFile, type UserFileContents, userFileVersion } from './user-file.js';

/** How a file of users is watched. */
export interface FileStoreOptions {
  /**
   * Called with one sentence if others can read the file, or if a change of it cannot be read; the old users stay then.
   */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Ms between two checks of the file; default 1000. */
  readonly interval?: number;
  /** Ms from any clock; default {@link steadyNow}. If it is set back, the next check comes at once. */
  readonly now?: () => number;
}

const DEFAULT_INTERVAL = 1_000;

/** The users of a file that `wmcast users` manages; changes take effect within a second. */
export class FileStore implements CredentialStore {
  readonly path: string;
  readonly #onWarning: (message: string) => void;
  readonly #interval: number;
  readonly #now: () => number;
  #contents: UserFileContents;
  #checkedAt: number;
  #checking: Promise<void> | undefined;
  #broken: string | undefined;

  private constructor(path: string, contents: UserFileContents, options: FileStoreOptions) {
    this.path = path;
    this.#contents = contents;
    this.#onWarning = options.onWarning ?? (() => {});
    this.#interval = options.interval ?? DEFAULT_INTERVAL;
    this.#now = options.now ?? steadyNow;
    this.#checkedAt = this.#now();
    this.#warnIfOpen();
  }

  /** @throws WmError WM_CONFIG if the file cannot be read or is malformed */
  static async open(path: string, options: FileStoreOptions = {}): Promise<FileStore> {
    return new FileStore(path, await readUserFile(path), options);
  }

  async find(name: string): Promise<UserEntry | undefined> {
    const elapsed = this.#now() - this.#checkedAt;
    if (elapsed < 0 || elapsed >= this.#interval) {
      this.#checking ??= this.#check().finally(() => {
        this.#checking = undefined;
      });
    }
    await this.#checking;
    return this.#contents.users.get(userKey(name));
  }

  async #check(): Promise<void> {
    this.#checkedAt = this.#now();
    const version = (await userFileVersion(this.path)) ?? '';
    if (version === this.#contents.version || version === this.#broken) return;
    try {
      this.#contents = await readUserFile(this.path);
      this.#broken = undefined;
      this.#warnIfOpen();
    } catch (error) {
      this.#broken = version;
      this.#onWarning(`${messageOf(error)} The users as they were before go on counting.`);
    }
  }

  #warnIfOpen(): void {
    if (this.#contents.open) this.#onWarning(`Others can read the users ${this.path}; chmod 600 ends that.`);
  }
}

/** For how long a server that was not there is taken to be absent, in ms. */
const ABSENCE_TIME = 5_000;

/**
 * Remembers for the ways of one protocol that no server of it was found, so that the next way does not wait for it
 * again.
 */
export class Absence {
  #found: { readonly error: unknown; readonly at: number; readonly transport: string } | undefined;

  /**
   * Opens a link, unless another transport has just shown that there is no server.
   *
   * @param isAnswered returns true if a server of the protocol has answered, whatever it said
   * @throws the error of `open`, or that of the other transport
   */
  async reach<T>(transport: string, open: () => Promise<T>, isAnswered: (error: unknown) => boolean): Promise<T> {
    const found = this.#found;
    if (found && found.transport !== transport && performance.now() - found.at < ABSENCE_TIME) throw found.error;
    try {
      const opened = await open();
      this.#found = undefined;
      return opened;
    } catch (error) {
      this.#found = isAnswered(error) ? undefined : { error, at: performance.now(), transport };
      throw error;
    }
  }
}

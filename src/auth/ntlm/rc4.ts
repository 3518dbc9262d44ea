/**
 * RC4 with state, as MS-NLMP 3.1.5.1 uses it: the key stream continues from one message to the next. OpenSSL 3 has no
 * RC4.
 */
export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  /** @param key 1 to 256 bytes */
  constructor(key: Buffer) {
    const state = this.#state;
    for (let i = 0; i < 256; i++) state[i] = i;
    for (let i = 0, j = 0; i < 256; i++) {
      j = (j + state[i]! + key[i % key.length]!) & 0xff;
      [state[i], state[j]] = [state[j]!, state[i]!];
    }
  }

  /** Encrypts or decrypts: XORs the bytes with the next ones of the key stream. */
  update(message: Buffer): Buffer {
    const state = this.#state;
    return Buffer.from(
      message.map((byte) => {
        this.#i = (this.#i + 1) & 0xff;
        const first = state[this.#i]!;
        this.#j = (this.#j + first) & 0xff;
        const second = state[this.#j]!;
        state[this.#i] = second;
        state[this.#j] = first;
        return byte ^ state[(first + second) & 0xff]!;
      }),
    );
  }
}

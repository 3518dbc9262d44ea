import { WmError } from '../errors.js';

/**
 * Data that should be ASF is not, or is damaged (code WM_ASF_MALFORMED). The only error that this folder throws for bad
 * input. `offset` is where the fault was found, in bytes from the start of the given buffer.
 *
 * @public
 */
export class AsfError extends WmError {
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super('WM_ASF_MALFORMED', message);
    this.name = 'AsfError';
    this.offset = offset;
  }
}

import { WmError } from '../errors.js';

/**
 * Data that should be ASF is not, or is damaged (code WM_ASF_MALFORMED). The only error that this folder throws on bad
 * input; `offset` is the byte, counted from the start of the buffer that was given, where the fault was seen.
 */
export class AsfError extends WmError {
  readonly offset: number | undefined;

  constructor(message: string, offset?: number) {
    super('WM_ASF_MALFORMED', message);
    this.name = 'AsfError';
    this.offset = offset;
  }
}

import { WmError } from '../errors.js';

/** A challenge, credentials or a token is malformed. The message never contains any of its bytes. */
export class AuthError extends WmError {
  constructor(message: string, options?: ErrorOptions) {
    super('WM_PROTOCOL', message, options);
    this.name = 'AuthError';
  }
}

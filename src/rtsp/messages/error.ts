import { WmError } from '../../errors.js';

/** Thrown for bytes that are not RTSP, RTP or SDP, with the status to answer. */
export class RtspError extends WmError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('WM_PROTOCOL', message);
    this.name = 'RtspError';
    this.status = status;
  }
}

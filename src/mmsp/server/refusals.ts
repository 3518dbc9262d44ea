import type { Refusal, RefusalKind } from '../../refusal.js';

/** HRESULTs that a server answers with ([MS-ERREF] 2.1). */
export const HR = {
  ok: 0,
  /** S_FALSE: in EndOfStream, another entry follows (MS-MMSP 2.2.4.5). */
  moreFollows: 1,
  /** E_ACCESSDENIED */
  accessDenied: 0x80070005,
  /** E_INVALIDARG */
  invalidArgument: 0x80070057,
  /** E_UNEXPECTED: the request does not fit the state, or the session cannot go on. */
  unexpected: 0x8000ffff,
  /** NS_E_FILE_NOT_FOUND */
  notFound: 0xc00d001a,
  /** NS_E_BUSY */
  busy: 0xc00d0025,
  /** NS_E_INVALID_REQUEST */
  invalidRequest: 0xc00d002b,
  /** NS_E_NO_STREAM: the content is offline, without a source. */
  noStream: 0xc00d0033,
} as const;

const RESULTS: Readonly<Record<RefusalKind, number>> = {
  'bad-request': HR.invalidArgument,
  unauthorized: HR.accessDenied,
  forbidden: HR.accessDenied,
  'not-found': HR.notFound,
  offline: HR.noStream,
  taken: HR.busy,
  gone: HR.notFound,
  unsupported: HR.invalidRequest,
  'too-large': HR.invalidArgument,
  'too-long': HR.invalidArgument,
  busy: HR.busy,
  throttled: HR.accessDenied,
  failed: HR.unexpected,
};

/** Returns the HRESULT for a refusal. */
export function resultOf({ kind }: Refusal): number {
  return RESULTS[kind];
}

import { HttpError } from '../src/http/message.js';
import { REFUSAL_STATUS, refusalStatus } from '../src/http/refusals.js';
import { Refusal, type RefusalKind } from '../src/refusal.js';

const KINDS = Object.keys(REFUSAL_STATUS) as RefusalKind[];

describe('a refusal', () => {
  it.each(KINDS)('of kind %s has a status that says error, and an exit code that does', (kind) => {
    const refusal = new Refusal(kind, 'No.');
    expect(refusalStatus(refusal)).toBe(REFUSAL_STATUS[kind]);
    expect(REFUSAL_STATUS[kind]).toBeGreaterThanOrEqual(400);
    expect(refusal.exitCode).toBeGreaterThan(0);
  });

  it('is told from an error of this side, and from one of HTTP itself', () => {
    expect(refusalStatus(new HttpError(431, 'The request head is too large.'))).toBe(431);
    expect(refusalStatus(new Error('disk on fire'))).toBeUndefined();
    expect(refusalStatus(undefined)).toBeUndefined();
  });

  it('shows nobody the password of a URL', () => {
    const refusal = new Refusal('offline', 'http://anna:secret@encoder/live gives nothing.');
    expect(refusal.message).toBe('http://***@encoder/live gives nothing.');
  });
});

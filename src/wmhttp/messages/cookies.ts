/** The name of the cookie that identifies the session (MS-WMHTTP 2.2.1.3.1). */
export const PUSH_ID = 'push-id';

/** True if a value can be a push-id: 1 to 255 visible ASCII characters (MS-WMHTTP 2.2.1.3.1, 3.2.3). */
export function isPushId(value: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(value);
}

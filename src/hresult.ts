/** Whether an HRESULT is an error: its top bit ([MS-ERREF] 2.1). */
export function isErrorResult(reason: number): boolean {
  return reason >>> 31 === 1;
}

/** An HRESULT as people write it. */
export function hexResult(reason: number): string {
  return `0x${(reason >>> 0).toString(16).toUpperCase().padStart(8, '0')}`;
}

import { matchesTag, readEntityTags } from '../messages/entity-tags.js';
import { RtspError } from '../messages/error.js';
import type { RtspRequest } from '../messages/message.js';

/**
 * Checks If-Match and If-None-Match (MS-RTSP 2.2.6.5, 2.2.6.6; RFC 2616 14.24, 14.26).
 *
 * @param tag of the entry that the request is about; undefined if it has none
 * @returns true if the client has that entry already, and its request asks for nothing else
 * @throws RtspError 412 if the condition fails, or for a malformed If-Match; 400 for a malformed If-None-Match
 */
export function isKnown({ method, headers }: RtspRequest, tag: string | undefined): boolean {
  const wanted = headers.all('If-Match').join(',');
  if (wanted !== '') {
    const tags = readEntityTags(wanted);
    if (!tags || !matchesTag(tags, tag)) throw new RtspError(412, 'The request is for another version of the entry.');
  }
  const known = headers.all('If-None-Match').join(',');
  if (known === '') return false;
  const tags = readEntityTags(known);
  if (!tags) throw new RtspError(400, 'If-None-Match is malformed.');
  if (!matchesTag(tags, tag)) return false;
  if (method === 'DESCRIBE' || method === 'GET_PARAMETER') return true;
  throw new RtspError(412, 'The client has that version of the entry.');
}

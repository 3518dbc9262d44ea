import { WmError } from '../errors.js';
import type { Announcement } from './read.js';

/**
 * Thrown by a client before its first event if a URL leads to other streams: through an announcement, or a redirect to
 * another protocol. Code that has all protocols at hand continues from there.
 */
export class LeadsElsewhere extends WmError {
  /** The URL of the announcement, or the target of the redirect. */
  readonly location: string;
  /** True if another host said so, rather than a program on this one. */
  readonly isRemote: boolean;
  /** Undefined for a redirect. */
  readonly announcement: Exclude<Announcement, { readonly kind: 'unreadable' }> | undefined;

  constructor(location: string, isRemote: boolean, announcement?: LeadsElsewhere['announcement']) {
    const sentence = announcement
      ? `${location} is an announcement, not a stream.`
      : `The server redirects to ${location}, which this client cannot follow.`;
    super('WM_PROTOCOL', sentence);
    this.name = 'LeadsElsewhere';
    this.location = location;
    this.isRemote = isRemote;
    this.announcement = announcement;
  }
}

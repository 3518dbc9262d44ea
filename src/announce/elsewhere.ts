import { WmError } from '../errors.js';
import type { Announcement } from './read.js';

/**
 * A URL names no stream of its own but leads to others: by an announcement, or by a redirect to another protocol. Clients throw it
 * before their first event; whoever has all protocols at hand goes on from there.
 */
export class LeadsElsewhere extends WmError {
  /** Where the announcement was found; of a redirect its target. */
  readonly location: string;
  /** Another host says so, and not a program on this one. */
  readonly isRemote: boolean;
  /** Undefined for a redirect. */
  readonly announcement: Exclude<Announcement, { readonly kind: 'unreadable' }> | undefined;

  constructor(location: string, isRemote: boolean, announcement?: LeadsElsewhere['announcement']) {
    const sentence = announcement
      ? `At ${location} is an announcement, not a stream.`
      : `The server redirects to ${location}, where this client cannot go.`;
    super('WM_PROTOCOL', sentence);
    this.name = 'LeadsElsewhere';
    this.location = location;
    this.isRemote = isRemote;
    this.announcement = announcement;
  }
}

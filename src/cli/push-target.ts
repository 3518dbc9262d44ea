import { WmError } from '../errors.js';
import type { AsfSink } from '../media/events.js';
import { PushClient, type PushOptions } from '../wmhttp/client.js';
import type { Interruption } from './program.js';

/** After a signal a server may take so long for what it still has to say, in ms. */
const GRACE = 3_000;

/**
 * A push whose waits for the server a signal ends.
 *
 * @throws Interrupted, or as {@link PushClient.connect}
 */
export async function openPush(options: PushOptions, interruption: Interruption): Promise<AsfSink> {
  const connecting = PushClient.connect(options);
  const client = await interruption.race(connecting, { late: (late) => void late.close().catch(() => {}) });
  return {
    write: (event) => client.write(event),
    close: () => interruption.race(client.close(), { grace: GRACE }),
  };
}

/**
 * Refuses a URL with a user's name or password in it, which nothing here can use yet, without repeating them.
 *
 * @throws WmError WM_USAGE
 */
export function refuseCredentials(url: string): void {
  const [, scheme, rest] = /^\s*([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@(.*)$/is.exec(url) ?? [];
  if (scheme === undefined) return;
  throw new WmError('WM_USAGE', `A user and a password in a URL cannot be used yet; give ${scheme}${rest}.`);
}

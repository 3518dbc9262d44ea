import { WmError } from '../../errors.js';
import { type MsbdDelivery, NETSHOW } from '../messages/messages.js';
import { MSBD_PORT } from '../server/options.js';

/** The parts of an `msbd://` URL. */
export interface MsbdUrl {
  readonly host: string;
  readonly port: number;
  /** szChannel: the path without its first slash, or `NetShow`. */
  readonly channel: string;
  /** `multicast` with `?multicast`. */
  readonly delivery: MsbdDelivery;
  /** The interface that joins the group, by its name or an address of it, from `interface=`. */
  readonly interface: string | undefined;
}

/** Longer names are of no use to anyone. */
const MAX_CHANNEL = 1024;

/**
 * Parses a URL; ignores user, password and fragment.
 *
 * @param url `msbd://host[:port][/channel][?multicast[&interface=eth0]]`; without a port 7007
 * @throws WmError WM_USAGE if it is not such a URL, or if its host is an IPv6 address, which MSBD does not support
 *   (MS-MSBD 2.1)
 */
export function parseMsbdUrl(url: string): MsbdUrl {
  let parsed: URL;
  let channel: string;
  try {
    parsed = new URL(url.trim());
    channel = decodeURIComponent(parsed.pathname).replace(/^\//, '');
  } catch (error) {
    throw new WmError('WM_USAGE', `"${url}" is not a URL such as msbd://encoder:7007.`, { cause: error });
  }
  if (parsed.protocol !== 'msbd:' || parsed.hostname === '' || channel.length > MAX_CHANNEL) {
    throw new WmError('WM_USAGE', `"${url}" is not a URL such as msbd://encoder:7007.`);
  }
  if (parsed.hostname.startsWith('[')) throw new WmError('WM_USAGE', 'MSBD does not support IPv6 addresses.');
  return {
    host: parsed.hostname,
    port: parsed.port === '' ? MSBD_PORT : Number(parsed.port),
    channel: channel === '' ? NETSHOW : channel,
    delivery: parsed.searchParams.has('multicast') ? 'multicast' : 'tcp',
    interface: parsed.searchParams.get('interface') ?? undefined,
  };
}

import type { Socket } from 'node:dgram';
import { WmError } from '../errors.js';
import { bindUdp, closeUdp } from '../media/udp.js';

/** The port for RTP that is asked for first (MS-RTSP 1.9). */
const USUAL_PORT = 5_004;
const TRIES = 50;

/** A pair of UDP ports: RTP uses the even one, RTCP the odd one after it. */
export interface RtpPorts {
  readonly rtp: Socket;
  readonly rtcp: Socket;
  readonly ports: readonly [rtp: number, rtcp: number];
}

/**
 * Opens a pair of ports.
 *
 * @param ports the even ones of pairs, of which the first that is free is taken; 0 is any pair. Without one: 5004 if
 *   that is free, else any
 * @throws WmError WM_PORT_IN_USE
 */
export async function openRtpPorts(ports: readonly number[], host: string | undefined): Promise<RtpPorts> {
  const [wanted, last] = ports.length === 0 ? [[USUAL_PORT, 0], 0] : [ports, ports.at(-1)];
  for (const port of wanted) {
    if (port === 0) return openAny(host);
    const pair = await openPair(port, host).catch((error: unknown) => {
      if (port === last) throw error;
      return undefined;
    });
    if (pair) return pair;
  }
  return openAny(host);
}

async function openAny(host: string | undefined): Promise<RtpPorts> {
  for (let tries = 0; tries < TRIES; tries++) {
    const probe = await bindUdp(0, host);
    const taken = probe.address().port;
    await closeUdp(probe);
    const pair = await openPair(taken - (taken % 2), host).catch(() => undefined);
    if (pair) return pair;
  }
  throw new WmError('WM_PORT_IN_USE', 'No pair of UDP ports for RTP is free.');
}

async function openPair(port: number, host: string | undefined): Promise<RtpPorts> {
  const rtp = await bindUdp(port, host);
  try {
    return { rtp, rtcp: await bindUdp(port + 1, host), ports: [port, port + 1] };
  } catch (error) {
    rtp.close();
    throw error;
  }
}

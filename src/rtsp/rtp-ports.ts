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
 * @param port the even one; 0 takes any pair; without one 5004 if that is free
 * @throws WmError WM_PORT_IN_USE
 */
export async function openRtpPorts(port: number | undefined, host: string | undefined): Promise<RtpPorts> {
  if (port !== undefined && port !== 0) return openPair(port, host);
  const usual = port === undefined ? await openPair(USUAL_PORT, host).catch(() => undefined) : undefined;
  if (usual) return usual;
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

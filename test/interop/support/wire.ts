import { parseResponse, parseWholeResponse, RawPeer, type WirePacket, wirePackets } from '../../support/wire.js';

/** Plays a point like an old player, over a bare socket. */
export async function wirePlayer(port: number, path: string): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  const streams = ['Pragma: stream-switch-count=2', 'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0 '];
  peer.request(`GET ${path} HTTP/1.0`, 'User-Agent: NSPlayer/4.1.0.3856', 'Pragma: xPlayStrm=1', ...streams);
  return peer;
}

/** The packets of a Play response so far. */
export function packetsOf(bytes: Buffer): WirePacket[] {
  return wirePackets(parseResponse(bytes)?.body ?? Buffer.alloc(0));
}

/** The letters of the packets, except data packets. */
export function marksOf(bytes: Buffer): string {
  const ids = packetsOf(bytes).map(({ id }) => id);
  return ids.filter((id) => id !== 'D').join('');
}

/** A bare socket in the body of a PushStart, on which nothing has been sent yet. */
export async function wirePush(port: number, path: string): Promise<RawPeer> {
  const peer = await RawPeer.connect(port);
  const common = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'User-Agent: WMEncoder/12.0.7601.17514'];
  peer.request(...common, 'Content-Type: application/x-wms-pushsetup', 'Content-Length: 0', 'Cookie: push-id=0');
  const setup = await peer.until(parseWholeResponse);
  if (setup.status !== 204) throw new Error(`The push setup was answered ${setup.statusLine}.`);
  peer.clear();
  const cookie = `Cookie: ${setup.field('Set-Cookie')}`;
  peer.request(...common, 'Content-Type: application/x-wms-pushstart', 'Content-Length: 2147483647', cookie);
  return peer;
}

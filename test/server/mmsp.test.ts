import * as client from '../../src/mmsp/messages/client.js';
import { Peer } from '../mmsp/station.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

describe('MMSP on a media server', () => {
  it('plays a point that an encoder pushes to, and counts its player', async () => {
    const station = await ServerStation.open({ mms: { port: 0 } });
    const peer = await Peer.connect(station.server.ports.mms!);
    try {
      const encoder = await station.push('/live');
      encoder.key();
      await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
      await peer.play('live');
      expect(station.server.stats().players).toBe(1);
      peer.send(client.buildCloseFile(1));
      await peer.ends();
      await until('no players', () => station.server.stats().players === 0);
    } finally {
      peer.close();
      await station.close();
    }
  });

  it('opens no port unless so configured', async () => {
    const station = await ServerStation.open();
    expect(station.server.ports.mms).toBeUndefined();
    await station.close();
  });
});

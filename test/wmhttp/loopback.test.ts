import { HttpServer } from '../../src/http/server.js';
import { PushClient } from '../../src/wmhttp/client/client.js';
import { PushServer } from '../../src/wmhttp/server/server.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { RecordingGate } from './recorder.js';

describe('our client against our server', () => {
  let http: HttpServer;
  let push: PushServer;
  let gate: RecordingGate;
  let port: number;

  beforeEach(async () => {
    gate = new RecordingGate();
    push = new PushServer(gate);
    http = new HttpServer({ onRequest: (exchange) => void push.handle(exchange) });
    port = await http.listen(0, '127.0.0.1');
  });

  afterEach(async () => {
    push.close();
    await http.close(0);
  });

  it.each([undefined, 5000])(
    'delivers a stream of two entries unchanged, with bodies of %p bytes',
    async (contentLength) => {
      const client = await PushClient.connect({
        url: `http://127.0.0.1:${port}/pub`,
        template: '/t',
        autoDestroy: true,
        contentLength,
      });
      const sent = Array.from({ length: 300 }, (_, index) => testPacket(index * 40, { dataSize: 1 + (index % 350) }));
      await client.write({ type: 'header', header: testHeader() });
      for (const packet of sent.slice(0, 150)) await client.write({ type: 'packet', packet });
      await client.write({ type: 'end', moreEntries: true, reason: 1 });
      await client.write({ type: 'header', header: testHeader({ title: 'Second' }) });
      for (const packet of sent.slice(150)) await client.write({ type: 'packet', packet });
      await client.write({ type: 'end', moreEntries: false, reason: 0 });
      await client.close();
      const point = gate.points[0]!;
      await until('the point to be removed', () => point.log.includes('release clean destroy'));
      expect(gate.requests[0]).toMatchObject({ path: '/pub', template: '/t', autoDestroy: true });
      expect(point.log.filter((entry) => entry !== 'packet')).toEqual([
        'start',
        'header',
        'end1',
        'header',
        'end0',
        'close',
        'release clean destroy',
      ]);
      const received = point.events.flatMap((event) => (event.type === 'packet' ? [event.packet] : []));
      expect(received).toHaveLength(300);
      received.forEach((packet, index) => {
        const [payload] = packet.payloads;
        const [wanted] = sent[index]!.payloads;
        expect(packet.sendTime).toBe(sent[index]!.sendTime);
        const data = packet.bytes.subarray(payload!.dataStart, payload!.dataStart + payload!.dataLength);
        const wantedData = sent[index]!.bytes.subarray(wanted!.dataStart, wanted!.dataStart + wanted!.dataLength);
        expect(data.equals(wantedData)).toBe(true);
      });
      expect(client.stats.packets).toBe(300);
      expect(push.sessions).toBe(0);
    },
  );

  it('tells the client why its session was ended', async () => {
    const client = await PushClient.connect({ url: `http://127.0.0.1:${port}/pub` });
    await client.write({ type: 'header', header: testHeader() });
    const point = gate.points[0]!;
    await until('an event at the point', () => point.events.length === 1);
    point.publisher!.disconnect('busy');
    await until('the push to fail', () => client.failure !== undefined);
    expect(client.failure).toMatchObject({
      code: 'WM_PUSH_REFUSED',
      message: `The server refused the push to http://127.0.0.1:${port}/pub: 503 Service Unavailable.`,
    });
  });
});

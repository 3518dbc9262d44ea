import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { jest } from '@jest/globals';
import { RtspClientConnection } from '../../src/rtsp/client/connection.js';
import { serialiseResponse, writeFrameHead } from '../../src/rtsp/messages/message.js';

const TIMEOUT = 1_000;

describe('the answer to a request over a slow line', () => {
  let server: Server;
  let socket: Socket;
  let connection: RtspClientConnection;
  /** Called when a frame has come, or the connection is lost. */
  let heard: () => void = () => {};
  let lost: Error | undefined;

  beforeEach(async () => {
    lost = undefined;
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const { port } = server.address() as AddressInfo;
    connection = await RtspClientConnection.open({ host: '127.0.0.1', port }, 'server', TIMEOUT, {
      request: () => 200,
      frame: () => heard(),
      lost: (error) => {
        lost = error;
        heard();
      },
    });
    [socket] = (await accepted) as [Socket];
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });

  afterEach(() => {
    jest.useRealTimers();
    connection.end();
    socket.destroy();
    server.close();
  });

  /** Sends a frame of media, and lets time pass once it has come. */
  async function media(milliseconds: number): Promise<void> {
    const frame = Buffer.alloc(14);
    writeFrameHead(frame, 0, 0, 10);
    const came = new Promise<void>((resolve) => (heard = resolve));
    socket.write(frame);
    await came;
    jest.advanceTimersByTime(milliseconds);
  }

  const ask = () => connection.ask('SET_PARAMETER', 'rtsp://127.0.0.1/x', [], undefined, TIMEOUT);

  it('may come after the media that was sent before it', async () => {
    const asked = ask();
    for (let count = 0; count < 3; count++) await media(TIMEOUT - 1);
    socket.write(serialiseResponse(200, [['CSeq', '1']]));
    expect((await asked).status).toBe(200);
  });

  it('is not awaited for ever, whatever else comes', async () => {
    const asked = expect(ask()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    for (let count = 0; count < 5 && !lost; count++) await media(TIMEOUT - 1);
    await asked;
    expect(lost?.message).toBe('server did not answer SET_PARAMETER within 1 s.');
  });

  it('is missed soon if nothing comes at all', async () => {
    const asked = expect(ask()).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
    jest.advanceTimersByTime(TIMEOUT);
    await asked;
  });
});

import type { ClientSession } from '../../src/wmsp/client-session.js';
import { described, E, PLAY, packetOf, pipelined, response, sent } from './client-session-support.js';
import { packets } from './client-support.js';

describe('the pipelined mode', () => {
  function testing(): ClientSession {
    const session = described({ pipelined: true }, { Pragma: 'client-id=5, pipeline-experiment=1' });
    session.startStreaming(PLAY);
    return session;
  }

  it('[WMSP-142] [WMSP-187] is used after $T and pipeline-result=1; Play follows', () => {
    const session = testing();
    expect(session.streamResponse(response(), 0)).toEqual([]);
    expect(session.packet(packetOf(packets.T()), 0)).toEqual([]);
    session.bodyEnded();
    const actions = session.streamResponse(response({ Pragma: 'pipeline-result=1' }, 204), 0);
    expect(session.mode).toBe('pipelined');
    expect(actions).toMatchObject([{ on: 'stream', request: { type: 'Play', minorVersion: 1 } }]);
  });

  it.each([
    ['pipeline-result=0', true],
    ['no-cache', true],
    ['pipeline-result=1', false],
  ])('[WMSP-187] is not used after %s with a $T: %s; Play follows all the same', (pragma, testData) => {
    const session = testing();
    session.streamResponse(response(), 0);
    if (testData) session.packet(packetOf(packets.T()), 0);
    session.bodyEnded();
    const actions = session.streamResponse(response({ Pragma: pragma }, 204), 0);
    expect(session.mode).toBe('non-pipelined');
    expect(actions).toMatchObject([{ request: { type: 'Play', minorVersion: 0 } }]);
  });

  it('is not used when the connection breaks in the test', () => {
    const session = testing();
    expect(session.pipelineTestFailed()).toMatchObject([{ request: { type: 'Play', minorVersion: 0 } }]);
    expect(session.responsesDue).toBe(1);
    expect(session.pipelineTestFailed()).toEqual([]);
  });

  it('[WMSP-191] sends the Log of an entry on the stream', () => {
    expect(sent(pipelined().packet(E(0), 0))).toEqual(['Log stream']);
  });
});

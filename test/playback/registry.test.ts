import fc from 'fast-check';
import {
  type RunningSession,
  type SessionInfo,
  SessionRegistry,
  type SessionReport,
} from '../../src/playback/registry.js';
import { SessionIds } from '../../src/playback/session-ids.js';

let now: number;
let begun: SessionInfo[];
let ended: SessionReport[];
let stopped: number;
let registry: SessionRegistry;

beforeEach(() => {
  now = 1_000;
  begun = [];
  ended = [];
  stopped = 0;
  registry = new SessionRegistry({
    ids: new SessionIds({ node: 2, worker: 1, nodes: 3, workers: 4 }),
    now: () => now,
    onBegin: (info) => begun.push(info),
    onEnd: (report) => ended.push(report),
  });
});

function session(
  counts = { bytes: 100, packets: 2, lost: 1 },
  role: 'player' | 'publisher' = 'player',
): RunningSession {
  const facts = { protocol: 'WMSP', transport: 'tcp', path: '/live', client: 'x/1', remoteAddress: '192.0.2.1' };
  return { role, ...facts, counts: () => counts, stop: () => void stopped++ };
}

/** A session of another process. */
function begin(): SessionInfo {
  return { ...session(), id: '', entry: undefined, since: 0, bytes: 0, packets: 0, lost: 0 };
}

describe('the registry of sessions', () => {
  it('reports when each session begins and ends, with its facts', () => {
    const over = registry.begin(session());
    expect(begun).toMatchObject([{ id: '2.1.1', path: '/live', bytes: 100, entry: undefined }]);
    now += 1_500;
    over();
    over();
    expect(ended).toEqual([
      expect.objectContaining({ id: '2.1.1', milliseconds: 1_500, packets: 2, skippedPackets: 1, bytes: 100 }),
    ]);
  });

  it('counts players and their bytes, including those that have left', () => {
    const counts = { bytes: 10, packets: 0, lost: 0 };
    const over = registry.begin(session(counts));
    registry.begin(session());
    registry.begin(session(undefined, 'publisher'));
    expect([registry.players, registry.bytesOut]).toEqual([2, 110]);
    counts.bytes = 50;
    expect(registry.bytesOut).toBe(150);
    over();
    expect([registry.players, registry.bytesOut]).toEqual([1, 150]);
    expect([...registry]).toHaveLength(2);
  });

  it('lists by role, and continues after a session even if that one has ended', async () => {
    const overs = [1, 2, 3, 4].map(() => registry.begin(session()));
    registry.begin(session(undefined, 'publisher'));
    const first = await registry.list({ role: 'player', limit: 2 });
    expect(first.total).toBe(4);
    expect(first.sessions.map(({ id }) => id)).toEqual(['2.1.1', '2.1.2']);
    overs[1]!();
    const next = await registry.list({ role: 'player', after: '2.1.2' });
    expect(next.sessions.map(({ id }) => id)).toEqual(['2.1.3', '2.1.4']);
    expect((await registry.list()).total).toBe(4);
  });

  it('asks only the sessions that it lists for their figures', async () => {
    let asked = 0;
    const counts = () => {
      asked++;
      return { bytes: 0, packets: 0, lost: 0 };
    };
    for (let count = 0; count < 1_000; count++) registry.begin({ ...session(), counts });
    asked = 0;
    const { total, sessions } = await registry.list({ limit: 10, after: '2.1.500' });
    expect([total, sessions.map(({ id }) => id).at(-1), asked]).toEqual([1_000, '2.1.510', 10]);
  });

  it('lists those of other processes in their order, by numbers and not by letters', async () => {
    const elsewhere = ['2.3.1', '2.0.10', '2.0.9'].map((id) => ({ ...begin(), id }));
    const others = { players: 3, bytesOut: 0, sessions: async () => elsewhere, end: async () => false };
    const both = new SessionRegistry({
      ids: new SessionIds({ node: 2, worker: 1, nodes: 3, workers: 4 }),
      others: () => others,
    });
    both.begin(session());
    const ids = async (filter: object) => (await both.list(filter)).sessions.map(({ id }) => id);
    expect(await ids({})).toEqual(['2.0.9', '2.0.10', '2.1.1', '2.3.1']);
    expect(await ids({ after: '2.0.9', limit: 2 })).toEqual(['2.0.10', '2.1.1']);
    expect((await both.list({ limit: 0 })).total).toBe(4);
  });

  it('ends only the session with that id', async () => {
    registry.begin(session());
    expect(await registry.end('2.1.2')).toBe(false);
    expect(stopped).toBe(0);
    expect(await registry.end('2.1.1')).toBe(true);
    expect(stopped).toBe(1);
  });
});

describe('the id of a session', () => {
  it('tells where the session lives', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 64 }),
        fc.nat(63),
        fc.nat(63),
        (nodes, workers, n, w) => {
          const home = { node: n % nodes, worker: w % workers };
          const ids = new SessionIds({ ...home, nodes, workers });
          const id = ids.random(1, 0x7fffffff);
          expect(id).toBeGreaterThanOrEqual(1);
          expect(id).toBeLessThan(0x7fffffff + nodes * workers);
          expect(new SessionIds({ nodes, workers }).homeOf(id)).toEqual(home);
        },
      ),
    );
  });

  it('leaves every number possible for a single process', () => {
    const ids = new SessionIds();
    const seen = new Set(Array.from({ length: 200 }, () => ids.random(5, 8)));
    expect([...seen].sort()).toEqual([5, 6, 7]);
  });

  it('rejects a place that does not exist', () => {
    expect(() => new SessionIds({ node: 1 })).toThrow(RangeError);
  });
});

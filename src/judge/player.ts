import { steadyNow } from '../clock.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import { PushClient } from '../wmhttp/client/client.js';
import { GuestSession, JUDGE_PATH, type JudgeGuestOptions } from './guest.js';
import { watchLag } from './lag.js';
import { observePlayer, PLAYER_RULES } from './player-rules.js';
import { Recorder } from './recording.js';
import type { JudgeReport } from './report.js';
import { applyRules } from './rule.js';

/** How to judge a player. @public */
export interface JudgePlayerOptions extends JudgeGuestOptions {
  /** Makes what is played, at its own pace; called again for the second entry. */
  readonly source: (entry: 1 | 2) => AsfSource;
}

/** After the broadcast, how long a player may take to say that it got it, in ms. */
const GRACE = 4_000;

/**
 * Offers a broadcast to a player, which connects to us: two entries, and the end. Applies the rules to what it did.
 *
 * @param recorder keeps what was sent and received
 * @throws WmError WM_UNREACHABLE if nobody connects in time, WM_PORT_IN_USE, or as the source
 * @public
 */
export async function judgePlayer(
  options: JudgePlayerOptions,
  recorder: Recorder = new Recorder(),
): Promise<JudgeReport> {
  const { wait = 60_000, duration = 10_000, onReady = () => {}, onOver, source } = options;
  const session = await GuestSession.open('mmsh', options, recorder);
  const begun = steadyNow();
  const excused = watchLag();
  const stop = new AbortController();
  const showing = broadcast(session, source, stop.signal);
  // A source that fails ends the session; the failure is reported below.
  showing.finished.catch(() => stop.abort());
  try {
    await Promise.race([showing.live, showing.finished]);
    await onReady(session.url);
    await session.begun('player', wait);
    await session.tap.until(() => stop.signal.aborted, duration / 2, session.signal);
    showing.next();
    await session.tap.until(() => stop.signal.aborted, duration / 2, session.signal);
    showing.end();
    await showing.finished;
    await session.tap.until(() => session.tap.open === 0 && hasLogged(session), GRACE, session.signal);
    await onOver?.();
    const observed = observePlayer(session.dialogs, steadyNow());
    const program = observed.requests[0]?.exchange.request.headers.get('User-Agent');
    const rules = excused(applyRules(PLAYER_RULES, observed));
    return { role: 'player', url: session.url, program, rules, duration: steadyNow() - begun };
  } finally {
    stop.abort();
    await showing.finished.catch(() => {});
    await session.close();
  }
}

function hasLogged({ recorder }: GuestSession): boolean {
  return recorder.connections.some(({ chunks }) =>
    chunks.some(({ from, bytes }) => from === 'client' && (bytes.includes('LogStats') || bytes.includes('log-line'))),
  );
}

interface Showing {
  /** Resolves when the first packet was sent to the point. */
  readonly live: Promise<void>;
  readonly finished: Promise<void>;
  next(): void;
  end(): void;
}

/** Pushes two entries to the point, one after the other. */
function broadcast({ server }: GuestSession, source: JudgePlayerOptions['source'], signal: AbortSignal): Showing {
  const sources = [source(1), source(2)] as const;
  let isLive: () => void = () => {};
  const live = new Promise<void>((resolve) => {
    isLive = resolve;
  });
  const closeAll = () => {
    for (const each of sources) void each.close();
  };
  signal.addEventListener('abort', closeAll, { once: true });
  const carry = async () => {
    const client = await PushClient.connect({ url: `http://127.0.0.1:${server.ports.http}${JUDGE_PATH}` });
    try {
      await pump(entries(sources), [client], (event) => {
        if (event.type === 'packet') isLive();
      });
      await client.close();
    } finally {
      client.destroy();
    }
  };
  const [first, second] = sources;
  return { live, finished: carry(), next: () => void first.close(), end: () => void second.close() };
}

/** The events of several sources as entries of one stream. */
async function* entries(sources: readonly AsfSource[]): AsyncGenerator<AsfEvent, void, undefined> {
  for (const [index, source] of sources.entries()) {
    for await (const event of source) {
      const isLast = index === sources.length - 1;
      yield event.type === 'end' && !isLast ? { type: 'end', moreEntries: true, reason: 1 } : event;
    }
  }
}

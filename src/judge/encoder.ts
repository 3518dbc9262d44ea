import { steadyNow } from '../clock.js';
import { ENCODER_RULES, observeEncoder } from './encoder-rules.js';
import { GuestSession, type JudgeGuestOptions } from './guest.js';
import { watchLag } from './lag.js';
import { Recorder } from './recording.js';
import type { JudgeReport } from './report.js';
import { applyRules } from './rule.js';

/** After the session, how long an encoder may take to end by itself, in ms. */
const GRACE = 4_000;

/**
 * Waits for an encoder that pushes to us, receives for a while, and applies the rules to what it did.
 *
 * @param recorder keeps what was sent and received
 * @throws WmError WM_UNREACHABLE if nobody connects in time, WM_PORT_IN_USE
 * @public
 */
export async function judgeEncoder(
  options: JudgeGuestOptions = {},
  recorder: Recorder = new Recorder(),
): Promise<JudgeReport> {
  const { wait = 60_000, duration = 10_000, onReady = () => {}, onOver } = options;
  const session = await GuestSession.open('http', options, recorder);
  const begun = steadyNow();
  const excused = watchLag();
  try {
    await onReady(session.url);
    await session.begun('encoder', wait);
    const isOver = () => session.tap.open === 0 && hasPushed(session);
    const ended = await session.tap.until(isOver, duration, session.signal);
    if (!ended && onOver) {
      const closed = session.tap.until(() => session.tap.open === 0, GRACE, session.signal);
      await onOver();
      await closed;
    }
    const observed = observeEncoder(session.dialogs, steadyNow());
    const program = observed.exchanges[0]?.request.headers.get('User-Agent');
    const rules = excused(applyRules(ENCODER_RULES, observed));
    return { role: 'encoder', url: session.url, program, rules, duration: steadyNow() - begun };
  } finally {
    await session.close();
  }
}

/** True if a push began: an encoder may connect several times before it does. */
function hasPushed({ recorder }: GuestSession): boolean {
  return recorder.connections.some(({ chunks }) =>
    chunks.some(({ from, bytes }) => from === 'client' && bytes.includes('x-wms-pushstart')),
  );
}

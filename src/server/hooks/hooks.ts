import { messageOf } from '../../errors.js';
import { Refusal } from '../../refusal.js';
import { type HookConfig, type HookEvent, hookName, runHook } from './run.js';

/** The hooks of a server. */
export interface HooksOptions {
  /** Returns the hooks; asked at each event, because the configuration may change. */
  readonly hooks: () => readonly HookConfig[];
  readonly onWarning: (message: string) => void;
  /** Default: {@link runHook}. */
  readonly run?: typeof runHook;
  readonly now?: () => Date;
}

/** Events that wait for one hook; more are dropped. */
const MAX_WAITING = 1_000;
/** Decisions that are awaited at a time; more players and encoders are told to come back. */
const MAX_DECISIONS = 256;
/** How long the end of the server waits for hooks, in ms. */
const CLOSE_GRACE = 3_000;
/** In ms, between two warnings about the same hook. */
const WARNING_INTERVAL = 60_000;

/** The events of one hook that wait until the ones before are told. */
interface Queue {
  readonly waiting: HookEvent[];
  running: Promise<void> | undefined;
}

/**
 * Tells programs and web servers of the operator what happens, and asks those that decide whether somebody may publish
 * or play. Events of one hook are told one after the other, in order; a slow hook delays nothing else.
 */
export class Hooks {
  readonly #options: HooksOptions;
  readonly #run: typeof runHook;
  readonly #queues = new Map<HookConfig, Queue>();
  /** When each hook was last warned about, and failures since then. */
  readonly #warned = new Map<string, { at: number; more: number }>();
  #decisions = 0;

  constructor(options: HooksOptions) {
    this.#options = options;
    this.#run = options.run ?? runHook;
  }

  /** Tells the hooks of an event, except those that decide about it. Never waits. */
  notify(event: HookEvent): void {
    for (const hook of this.#options.hooks()) {
      if (!hook.on.includes(event.event) || decides(hook, event)) continue;
      const queue = this.#queueOf(hook);
      if (queue.waiting.length >= MAX_WAITING) this.#warn(hook, 'it is too slow: events are dropped');
      else queue.waiting.push(this.#dated(event));
      queue.running ??= this.#tell(hook, queue);
    }
  }

  /**
   * Asks the hooks that decide whether somebody may publish or play.
   *
   * @throws Refusal `forbidden` if one of them refuses; `failed` if one gives no answer; `busy` if too many are asked
   */
  async ask(event: HookEvent): Promise<void> {
    const asked = this.#options.hooks().filter((hook) => hook.on.includes(event.event) && decides(hook, event));
    if (asked.length === 0) return;
    if (this.#decisions >= MAX_DECISIONS) throw new Refusal('busy', 'Too many decisions of hooks are awaited.');
    this.#decisions++;
    try {
      for (const hook of asked) await this.#decide(hook, this.#dated(event));
    } finally {
      this.#decisions--;
    }
  }

  /** Waits until all events are told, but not for hooks that do not answer. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_GRACE);
    });
    await Promise.race([Promise.all([...this.#queues.values()].map(({ running }) => running)), late]);
    clearTimeout(timer);
  }

  async #decide(hook: HookConfig, event: HookEvent): Promise<void> {
    const { event: what, path } = event;
    let answer: Awaited<ReturnType<typeof runHook>>;
    try {
      answer = await this.#run(hook, event);
    } catch (error) {
      this.#warn(hook, messageOf(error));
      // A door that a hook guards stays closed when the hook is broken.
      throw new Refusal('failed', `No hook says whether anybody may ${what} ${path} at the moment.`, { cause: error });
    }
    if (!answer.allowed) throw new Refusal('forbidden', `A hook refuses to ${what} ${path}: ${answer.reason}.`);
  }

  async #tell(hook: HookConfig, queue: Queue): Promise<void> {
    for (let event = queue.waiting.shift(); event; event = queue.waiting.shift()) {
      try {
        const answer = await this.#run(hook, event);
        if (!answer.allowed) this.#warn(hook, answer.reason);
      } catch (error) {
        this.#warn(hook, messageOf(error));
      }
    }
    queue.running = undefined;
    this.#queues.delete(hook);
  }

  #queueOf(hook: HookConfig): Queue {
    let queue = this.#queues.get(hook);
    if (!queue) {
      queue = { waiting: [], running: undefined };
      this.#queues.set(hook, queue);
    }
    return queue;
  }

  #dated(event: HookEvent): HookEvent {
    return { ...event, time: (this.#options.now?.() ?? new Date()).toISOString() };
  }

  #warn(hook: HookConfig, reason: string): void {
    const name = hookName(hook);
    const now = performance.now();
    const known = this.#warned.get(name);
    if (known && now - known.at < WARNING_INTERVAL) {
      known.more++;
      return;
    }
    const more = known && known.more > 0 ? ` (${known.more} more failures since the last warning)` : '';
    this.#warned.set(name, { at: now, more: 0 });
    this.#options.onWarning(`The hook ${name} failed: ${reason}${more}.`);
  }
}

/** True if a hook is asked about an event before it happens. */
function decides(hook: HookConfig, { event }: HookEvent): boolean {
  return hook.decides && (event === 'publish' || event === 'play');
}

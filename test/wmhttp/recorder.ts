import type { AsfEvent, AsfSink } from '../../src/media/events.js';
import { Refusal } from '../../src/refusal.js';
import type {
  Publisher,
  PushDecision,
  PushGate,
  PushPoint,
  PushSetupRequest,
  PushStartRequest,
} from '../../src/wmhttp/server/server.js';

/** The refusal of a gate that asks for credentials. */
export function challenge(scheme: string, token?: string): Refusal {
  return new Refusal('unauthorized', 'Who are you?', { challenges: [{ scheme, token }] });
}

/** A publishing point that records what happens to it. */
export class RecordingPoint implements PushPoint, AsfSink {
  readonly events: AsfEvent[] = [];
  readonly log: string[] = [];
  publisher: Publisher | undefined;
  /** The error that the next `start` or `write` throws. */
  startError: unknown;
  writeError: unknown;
  /** The result of `write`. */
  hold: Promise<void> | undefined;

  start(publisher: Publisher): AsfSink {
    if (this.startError !== undefined) throw this.startError;
    this.publisher = publisher;
    this.log.push('start');
    return this;
  }

  write(event: AsfEvent): void | Promise<void> {
    if (this.writeError !== undefined) throw this.writeError;
    this.events.push(event);
    this.log.push(event.type === 'end' ? `end${event.reason}` : event.type);
    return this.hold;
  }

  async close(): Promise<void> {
    this.log.push('close');
  }

  release({ clean, destroy }: { clean: boolean; destroy: boolean }): void {
    this.log.push(`release${clean ? ' clean' : ''}${destroy ? ' destroy' : ''}`);
  }

  /** The log in one line. */
  get story(): string {
    return this.log.join(', ');
  }
}

/** Accepts every push, each to a new {@link RecordingPoint}, unless `decide` says otherwise. */
export class RecordingGate implements PushGate {
  readonly requests: PushSetupRequest[] = [];
  readonly points: RecordingPoint[] = [];
  readonly starts: PushStartRequest[] = [];
  startDecision: (() => void | Promise<void>) | undefined;
  decide: ((request: PushSetupRequest) => PushDecision | Promise<PushDecision>) | undefined;

  start(request: PushStartRequest): void | Promise<void> {
    this.starts.push(request);
    return this.startDecision?.();
  }

  open(request: PushSetupRequest): PushDecision | Promise<PushDecision> {
    this.requests.push(request);
    if (this.decide) return this.decide(request);
    const point = new RecordingPoint();
    this.points.push(point);
    return { accept: point };
  }
}

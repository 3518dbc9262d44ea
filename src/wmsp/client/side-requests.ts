import { messageOf } from '../../errors.js';
import { StaleConnection } from '../../http/client.js';
import { keepsAlive, type ResponseHead } from '../../http/message.js';
import type { ClientRequest } from './requests.js';
import type { ServerAccess } from './server-access.js';

/** Requests beside a stream, such as logs. */
export interface SideRequestsOptions {
  readonly access: ServerAccess;
  /** Gives them up. */
  readonly signal: AbortSignal;
  /** The maximum wait for an answer, in ms. */
  readonly patience: number;
  readonly onAnswer: (request: ClientRequest, head: ResponseHead) => Promise<void>;
  readonly onNote: (text: string) => void;
}

const MAX_SIDE_REQUESTS = 8;

/** Requests that each have a connection of their own, and on which nothing depends: logs, events, KeepAlive. */
export class SideRequests {
  readonly #options: SideRequestsOptions;
  readonly #pending = new Set<Promise<void>>();

  constructor(options: SideRequestsOptions) {
    this.#options = options;
  }

  /** Resolves when those that are pending now have ended. */
  get ended(): Promise<unknown> {
    return Promise.all(this.#pending);
  }

  /** Sends a request; dropped if too many are pending. */
  send(request: ClientRequest): void {
    const { signal, onNote } = this.#options;
    if (this.#pending.size >= MAX_SIDE_REQUESTS || signal.aborted) return;
    const task = this.#ask(request).catch((error: unknown) =>
      onNote(`A ${request.type} request went unanswered: ${messageOf(error)}`),
    );
    this.#pending.add(task);
    void task.then(() => this.#pending.delete(task));
  }

  async #ask(request: ClientRequest): Promise<void> {
    const { access, signal, patience, onAnswer } = this.#options;
    let http = await access.connect(signal);
    const cut = () => http.destroy();
    signal.addEventListener('abort', cut, { once: true });
    try {
      for (let challenges = 1; ; challenges++) {
        let about = access.send(http, request, false);
        const { head } = await http.response(patience).catch(async (error: unknown) => {
          if (!(error instanceof StaleConnection)) throw error;
          http = await access.connect(signal);
          about = access.send(http, request, false);
          return http.response(patience);
        });
        if (!isChallenge(head) || !(await access.mayAnswer(head, about, challenges))) {
          await onAnswer(request, head);
          return;
        }
        if (keepsAlive(head) && http.open) continue;
        http.destroy();
        http = await access.connect(signal);
      }
    } finally {
      signal.removeEventListener('abort', cut);
      http.destroy();
    }
  }
}

function isChallenge({ status }: ResponseHead): boolean {
  return status === 401 || status === 407;
}

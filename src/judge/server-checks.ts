import type { Exchange, ResponseMessage } from './exchanges.js';
import { bodyOf } from './exchanges.js';
import { each, type Finding, type Rule } from './rule.js';
import type { ServerObservation, Step, StepName } from './wmsp-script.js';

/** The steps that play. */
export const PLAYS: readonly StepName[] = [
  ...(['Play', 'second Play', 'Play of one stream', 'Play from the middle', 'Play of the end'] as const),
];
/** The steps that describe with a session of their own. */
export const DESCRIBES: readonly StepName[] = ['Describe', 'second Describe', 'pipelined Describe'];

/** A rule of servers. */
export type ServerRule = Rule<ServerObservation>;
type Answered = Step & { readonly response: ResponseMessage };

/** Why a rule was not tested. */
export const NOT_ASKED = 'it was not asked';
/** True for a status that confirms. */
export const isSuccess = ({ status }: ResponseMessage) => status >= 200 && status < 300;

/** Returns the steps of these names that were taken. */
export function stepsOf({ steps }: ServerObservation, names: readonly StepName[]): Step[] {
  return names.flatMap((name) => steps.get(name) ?? []);
}

/** Returns the steps whose response is a success. */
export function successes(observed: ServerObservation, names: readonly StepName[]): Answered[] {
  return stepsOf(observed, names).filter((step): step is Answered => step.response?.status === 200);
}

/** A rule about the steps of these names that were answered with success. */
export function eachSuccess(
  names: readonly StepName[],
  find: (step: Answered) => Finding | undefined,
): ServerRule['check'] {
  return (observed) =>
    each(successes(observed, names), 'no such request succeeded', (step) => {
      const finding = find(step);
      return finding && { where: step.name, ...finding };
    });
}

/** A rule about one step that was answered. */
export function about(
  name: StepName,
  find: (response: ResponseMessage, step: Step) => Finding | undefined,
): ServerRule['check'] {
  return ({ steps }) => {
    const step = steps.get(name);
    if (!step) return { untested: NOT_ASKED };
    if (step.failed !== undefined || !step.response) return { untested: step.failed ?? 'there was no answer' };
    const finding = find(step.response, step);
    return finding ? [{ where: name, ...finding }] : [];
  };
}

/** A rule that a step is answered with an error. */
export const isRefused = (name: StepName): ServerRule['check'] =>
  about(name, ({ status }) => (status >= 400 ? undefined : { seen: `status ${status}`, expected: '400 or more' }));

/** A rule that a step is answered with success and nothing in the body. */
export const isConfirmed = (name: StepName): ServerRule['check'] =>
  about(name, (response) => {
    const length = bodyOf(response).length;
    if (!isSuccess(response)) return { seen: `status ${response.status}`, expected: '200 or 204' };
    return length > 0 ? { seen: `a body of ${length} bytes`, expected: 'an empty one' } : undefined;
  });

/** Says which request it is. */
export function where({ request }: Exchange): string {
  return `${request.method} ${request.target}`;
}

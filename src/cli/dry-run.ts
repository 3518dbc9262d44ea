import { hidePasswords } from '../errors.js';
import { parseResponseHead, serialiseRequestHead } from '../http/message.js';
import { PushRoute } from '../wmhttp/client/push-route.js';
import { PushClientSession } from '../wmhttp/client/session.js';
import { DEFAULT_SERVER } from '../wmhttp/messages/messages.js';
import type { Access } from './access-options.js';
import type { PushTargetOptions } from './push-target.js';
import type { Reporter } from './reporter.js';

/** The program and the arguments for an input. */
export interface PlannedInput {
  readonly input: string;
  /** Undefined if the input is sent without ffmpeg. */
  readonly command: readonly string[] | undefined;
}

/** What a push would do. */
export interface Plan {
  readonly inputs: readonly PlannedInput[];
  readonly access: Access;
  readonly alternatives: readonly string[];
  readonly options: PushTargetOptions;
  /** Where it would be recorded. */
  readonly archive: string | undefined;
}

/** Options of ffmpeg whose values are nobody's business. */
const SECRET_OPTIONS =
  /^-(?:headers|cookies|passphrase|password|username|auth|token|(?:\w*_)?key|key\w*|cryptokey|srtp_\w+_params)$/i;
/** Arguments that a POSIX shell takes as they are. */
const PLAIN = /^[\w@%+=:,./-]+$/;
/** The push-id that the server will give. */
const PUSH_ID = '1';
/** Bytes; the size of the real one is not known yet. */
const PLACEHOLDER_HEADER = 100;
const ANSWER = `HTTP/1.1 204 No Content\r\nServer: ${DEFAULT_SERVER}\r\nSet-Cookie: push-id=${PUSH_ID}\r\n\r\n`;

/** Masks passwords in arguments of ffmpeg. */
export function withoutSecretArguments(command: readonly string[]): string[] {
  return command.map((argument, index) =>
    SECRET_OPTIONS.test(command[index - 1] ?? '') ? '***' : hidePasswords(argument),
  );
}

/** Writes a command as a POSIX shell takes it. */
export function quoted(command: readonly string[]): string {
  return command.map((each) => (PLAIN.test(each) ? each : `'${each.replaceAll("'", "'\\''")}'`)).join(' ');
}

/** A request that would be sent. */
interface PlannedRequest {
  readonly url: string;
  readonly head: string;
  readonly body: string;
}

/** Composes the requests of a push, without connecting. @throws WmError WM_USAGE if the template is not a path */
function requestsOf({ access, options }: Pick<Plan, 'access' | 'options'>): PlannedRequest[] {
  const { url, proxy, tls, authorize } = access;
  const route = new PushRoute({ url, proxy, tls, authorize, timeout: 1 });
  const { template, autoDestroy, requestLength } = options;
  const session = new PushClientSession({
    template,
    autoDestroy: autoDestroy ?? false,
    bodyDuration: requestLength,
    acceptAuthentication: authorize?.schemes,
  });
  session.setProxy(route.usesProxy);
  const written = (fields: Parameters<typeof serialiseRequestHead>[2]) =>
    serialiseRequestHead('POST', route.requestTarget, fields)
      .toString('latin1')
      .trimEnd()
      .replace(`push-id=${PUSH_ID}`, 'push-id=<as the server answers>');
  const credentials = route.credentials({}).map(([name, value]) => [name, value.replace(/ .*/s, ' ***')] as const);
  const setup = session.pushSetup(route.authority, credentials);
  session.response(parseResponseHead(Buffer.from(ANSWER, 'latin1')));
  session.header(Buffer.alloc(PLACEHOLDER_HEADER), 0, 0);
  const { request } = session.pushStart(route.authority, credentials);
  return [
    { url: route.url, head: written(setup.fields), body: setup.body?.toString('latin1') ?? '' },
    {
      url: route.url,
      head: written(request.fields),
      body: '$H with the ASF header, $D with a packet each, and $E at the end',
    },
  ];
}

/** Prints what a push would do: the lines of ffmpeg and the requests, with passwords masked. */
export function printPlan(plan: Plan, reporter: Reporter): void {
  const inputs = plan.inputs.map(({ input, command }) => ({
    input: hidePasswords(input),
    ...(command && { command: withoutSecretArguments(command) }),
  }));
  const requests = requestsOf(plan);
  const { access, alternatives, archive } = plan;
  const login = access.authorize !== undefined;
  if (reporter.json) {
    reporter.event('plan', { inputs, requests, alternatives, proxy: access.proxy, login, archive });
    return;
  }
  const lines = inputs.map(({ input, command }) => (command ? quoted(command) : `# ${input} is sent without ffmpeg`));
  reporter.print(lines.join('\n'));
  for (const { head, body } of requests) reporter.print(`\n${head.replaceAll('\r\n', '\n')}\n\n${body.trimEnd()}`);
  const notes = [
    ...(access.proxy === undefined ? [] : [`# through the proxy ${access.proxy}`]),
    ...(login ? ['# a login follows if the server asks for one'] : []),
    ...alternatives.map((other) => `# if that fails: ${hidePasswords(other)}`),
    ...(archive === undefined ? [] : [`# recorded to ${archive}`]),
  ];
  if (notes.length > 0) reporter.print(`\n${notes.join('\n')}`);
}

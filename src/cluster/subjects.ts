/*
 * Names on the bus. A path is one token: the bytes of its UTF-8 form that are not [A-Za-z0-9_/-] are written as `=` and
 * two hexadecimal digits, so that neither a dot, a wildcard nor a blank of a path has a meaning there.
 *
 *   <prefix>.media.<node>.<run>.<epoch>.<path>   batches of a point, from the node that owns it
 *   <prefix>.node.<node>.<run>.<operation>       requests to a node
 *   <prefix>.all.<operation>                     messages to all nodes
 *
 * Keys: `point.<path>`, `node.<node>`, `number.<n>`. A run is one start of a node.
 */

/** The longest token; the control line of a NATS message has 4096 bytes by default. */
const MAX_TOKEN = 1_024;
const SAFE = /^[A-Za-z0-9_/-]$/;

/** Returns a text as a token; undefined if that is too long, or the text is empty. */
export function tokenOf(text: string): string | undefined {
  if (text === '' || text.length > MAX_TOKEN) return undefined;
  let token = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(byte);
    token += SAFE.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token.length > MAX_TOKEN ? undefined : token;
}

/** Returns the text of a token; undefined if no text has this token. */
export function textOf(token: string): string | undefined {
  if (token.length > MAX_TOKEN || !/^(?:[A-Za-z0-9_/-]|=[0-9A-F]{2})+$/.test(token)) return undefined;
  const bytes = token.replace(/=(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  return tokenOf(text) === token ? text : undefined;
}

/** One start of a node. */
export interface NodeRun {
  /** The name of the node. */
  readonly node: string;
  /** Another one for each start. */
  readonly run: string;
}

/** The subjects of one cluster. */
export class Subjects {
  readonly #prefix: string;

  /** @param prefix a token that all nodes of the cluster have in common */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The batches of a point. @param path as a token */
  media({ node, run }: NodeRun, epoch: number, path: string): string {
    return `${this.#prefix}.media.${tokenOf(node)}.${run}.${epoch}.${path}`;
  }

  /** A request to a node. @param operation a token, or `*` for all */
  node({ node, run }: NodeRun, operation: string): string {
    return `${this.#prefix}.node.${tokenOf(node)}.${run}.${operation}`;
  }

  all(operation: string): string {
    return `${this.#prefix}.all.${operation}`;
  }
}

import type { Exchange } from './exchange.js';
import type { Field } from './message.js';

/** The methods that Windows Media servers answer; POST only with a few content types. */
export const ALLOWED: Field = ['Allow', 'GET, HEAD, POST, OPTIONS'];

/**
 * Answers OPTIONS, and refuses unsupported methods.
 * @param fields of every response
 * @returns false for GET, HEAD and POST
 */
export function answersMethod(exchange: Exchange, fields: readonly Field[] = []): boolean {
  const { method } = exchange.request;
  if (['GET', 'HEAD', 'POST'].includes(method)) return false;
  exchange.respond({ status: method === 'OPTIONS' ? 200 : 405, fields: [...fields, ALLOWED] });
  return true;
}

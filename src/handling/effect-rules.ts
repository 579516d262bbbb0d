import type { Close, Effect, Hear, Publish, Reply } from './effect.js';
import { CloseCode, PRIVATE_TYPES, SERVER_TYPES } from '../protocol.js';
import { isSubject } from '../entrance/token.js';

/** What nobody publishes: the server's own, and what is between a connection and its pod. */
const UNPUBLISHED_TYPES: ReadonlySet<string> = new Set([...SERVER_TYPES, ...PRIVATE_TYPES]);

/** The service's own words, to which other effects lead. */
const OWN_TYPES: ReadonlySet<string> = new Set(['system', 'error']);

const APPLICATION_CODES = { least: 3000, most: 4999 };

/**
 * What is wrong with an effect by itself, or undefined: it is its handler's bug, whatever was asked of it. What depends on the
 * connection, its rooms and its rights, is judged when the effect is carried out.
 */
export function flawOf(effect: Effect): string | undefined {
  // A handler in plain JavaScript can emit anything.
  const given = effect as Effect | null | undefined;
  switch (given?.kind) {
    case 'publish':
      return flawOfPublish(given);
    case 'reply':
      return flawOfReply(given);
    case 'join':
    case 'leave':
      return isTexts(given.rooms) ? undefined : 'rooms that are no array of names';
    case 'hear':
      return flawOfHear(given);
    case 'close':
      return flawOfClose(given);
    case 'rejection':
      return undefined;
    case undefined:
    default:
      return 'something that is no effect';
  }
}

function flawOfPublish({ message, as }: Publish): string | undefined {
  const { type } = (message as Publish['message'] | null | undefined) ?? {};
  if (!isType(type) || UNPUBLISHED_TYPES.has(type)) return `a publish of type ${type}`;
  return as === undefined || isSubject(as) ? undefined : 'a sender who cannot be called so';
}

function flawOfReply({ type }: Reply): string | undefined {
  return isType(type) && !OWN_TYPES.has(type) ? undefined : `a reply of type ${type}`;
}

function flawOfHear({ operator }: Hear): string | undefined {
  return operator === undefined || typeof operator === 'function' ? undefined : 'an operator that is none';
}

function flawOfClose({ code, reason }: Close): string | undefined {
  if (!isCloseCode(code)) return `the close code ${code}`;
  return typeof (reason as unknown) === 'string' ? undefined : 'a close without a reason';
}

function isTexts(values: unknown): boolean {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

function isType(type: unknown): type is string {
  return typeof type === 'string' && type !== '';
}

function isCloseCode(code: number): boolean {
  const known: readonly number[] = Object.values(CloseCode);
  return known.includes(code) || (Number.isInteger(code) && code >= APPLICATION_CODES.least && code <= APPLICATION_CODES.most);
}

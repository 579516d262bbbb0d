import type { Close, Effect, Transform, Publish, Reply } from '../handlers/effect.js';
import type { Rejection } from '../handlers/rejection.js';
import { CloseCode, ERROR_CODES, PRIVATE_TYPES, SERVER_TYPES } from '../protocol/protocol.js';
import { isSubject } from '../auth/token.js';

/** What nobody publishes: the server's own, and what is between a connection and its pod. */
const UNPUBLISHED_TYPES: ReadonlySet<string> = new Set([...SERVER_TYPES, ...PRIVATE_TYPES]);

/** The service's own words, to which other effects lead. */
const OWN_TYPES: ReadonlySet<string> = new Set(['system', 'error']);

const APPLICATION_CODES = { least: 3000, most: 4999 };

/**
 * What is wrong with an effect by itself, or undefined, given a copy as `causedBy` makes it: it is its handler's bug, whatever was asked of it. What depends on the
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
    case 'transform':
      return flawOfHear(given);
    case 'close':
      return flawOfClose(given);
    case 'rejection':
      return flawOfRejection(given);
    case undefined:
    default:
      return 'something that is no effect';
  }
}

function flawOfPublish({ message: { type, room }, as }: Publish): string | undefined {
  if (!isType(type) || UNPUBLISHED_TYPES.has(type)) return `a publish of type ${shown(type)}`;
  if (!isTextOrAbsent(room)) return 'a publish to a room that is no name';
  return as === undefined || isSubject(as) ? undefined : 'a sender who cannot be called so';
}

function flawOfReply({ type, id }: Reply): string | undefined {
  if (!isType(type) || OWN_TYPES.has(type)) return `a reply of type ${shown(type)}`;
  return isTextOrAbsent(id) ? undefined : 'a reply whose id is no text';
}

function flawOfRejection({ code, reason }: Rejection): string | undefined {
  if (!ERROR_CODES.includes(code)) return `an error of code ${shown(code)}`;
  return typeof (reason as unknown) === 'string' ? undefined : 'an error without a reason';
}

function flawOfHear({ operator }: Transform): string | undefined {
  return operator === undefined || typeof operator === 'function' ? undefined : 'an operator that is none';
}

function flawOfClose({ code, reason }: Close): string | undefined {
  if (!isCloseCode(code)) return `the close code ${shown(code)}`;
  return typeof (reason as unknown) === 'string' ? undefined : 'a close without a reason';
}

function isTexts(values: unknown): boolean {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

/** A template would throw at a symbol. */
function shown(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : `(a ${typeof value})`;
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function isType(type: unknown): type is string {
  return typeof type === 'string' && type !== '';
}

function isCloseCode(code: number): boolean {
  const known: readonly number[] = Object.values(CloseCode);
  return known.includes(code) || (Number.isInteger(code) && code >= APPLICATION_CODES.least && code <= APPLICATION_CODES.most);
}

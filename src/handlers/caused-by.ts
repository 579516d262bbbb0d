import type { Close, Effect, Transform, Join, Leave, Publish, Reply } from './effect.js';
import { usableRef, type Rejection } from './rejection.js';
import type { ClientMessage } from '../protocol/protocol.js';

type Cause = Pick<ClientMessage, 'id'> | undefined;

/**
 * A copy of an effect that its handler can no longer change, with its handler and, unless it names a `ref`, the message that caused it.
 * A value that is not an effect is returned as it is.
 *
 * Each member is read once, because a getter may throw or change its value. The members are copied one by one, because a spread takes
 * 1.5 µs, and every message passes here.
 */
export function causedBy(effect: Effect, cause: Cause, by?: string): Effect {
  const given = effect as Effect | null | undefined;
  switch (given?.kind) {
    case 'publish':
      return publishedBy(given, cause, by);
    case 'reply':
      return repliedBy(given, cause, by);
    case 'transform':
      return transformedBy(given, by);
    case 'join':
      return { kind: 'join', ...moved(given, cause, by) };
    case 'leave':
      return { kind: 'leave', ...moved(given, cause, by) };
    case 'rejection':
      return rejectedFor(given, cause);
    case 'close':
      return closed(given);
    case undefined:
      return effect;
  }
}

/** What is published with an id of its own refers to that, as a client's message does. */
function publishedBy({ message, as, outside, ref, by: owner }: Publish, cause: Cause, by = owner): Publish {
  // Nearly always the client's own message.
  const own = message === cause ? message : copied(message);
  return { kind: 'publish', message: own, as, outside, ref: refOf(ref, own.id === undefined ? cause : own), by };
}

function copied(message: Partial<ClientMessage> | null): ClientMessage {
  const { type = '', room, data, id } = message ?? {};
  return { type, room, data, id };
}

function repliedBy({ type, data, id, ref, by: owner }: Reply, cause: Cause, by = owner): Reply {
  return { kind: 'reply', type, data, id, ref: refOf(ref, cause ?? { id }), by };
}

function transformedBy({ operator, by: owner }: Transform, by = owner): Transform {
  return { kind: 'transform', operator, by };
}

function moved({ rooms, ref, by: owner }: Join | Leave, cause: Cause, by = owner): Omit<Join, 'kind'> {
  return { rooms: Array.isArray(rooms) ? Array.from<string>(rooms) : rooms, ref: refOf(ref, cause), by };
}

function rejectedFor({ code, reason, ref, error }: Rejection, cause: Cause): Rejection {
  return { kind: 'rejection', code, reason, ref: refOf(ref, cause), error };
}

function closed({ code, reason }: Close): Close {
  return { kind: 'close', code, reason };
}

/** An error never repeats more of an id than spec allows. */
function refOf(given: unknown, cause: Cause): string | undefined {
  return usableRef(given) ?? usableRef(cause?.id);
}

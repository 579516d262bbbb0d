import { usableRef } from './message.js';
import type { Effect, Publish, Reply } from './effect.js';
import type { ClientMessage } from '../protocol.js';

type Cause = Pick<ClientMessage, 'id'> | undefined;

/**
 * The effect, with what it came of: the message, where it names none itself, and the handler, where one is given.
 *
 * What is published with an id of its own refers to that, as a client's message does.
 */
export function causedBy(effect: Effect, message: Cause, by?: string): Effect {
  switch (effect.kind) {
    case 'publish':
      return publishedBy(effect, message, by);
    case 'reply':
      return repliedBy(effect, message, by);
    case 'hear':
      return { ...effect, by: by ?? effect.by };
    case 'join':
    case 'leave':
    case 'rejection':
      return effect.ref === undefined ? { ...effect, ref: usableRef(message?.id) } : effect;
    case 'close':
      return effect;
  }
}

// Member by member: every message passes here, and a spread takes 1.5 µs.

function publishedBy(effect: Publish, cause: Cause, by: string | undefined): Publish {
  const { kind, message, as, outside } = effect;
  const ref = effect.ref ?? (message.id === undefined ? usableRef(cause?.id) : undefined);
  return { kind, message, as, outside, ref, by: by ?? effect.by };
}

function repliedBy(effect: Reply, cause: Cause, by: string | undefined): Reply {
  const { kind, type, data, id } = effect;
  return { kind, type, data, id, ref: effect.ref ?? usableRef(cause?.id), by: by ?? effect.by };
}

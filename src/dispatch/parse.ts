import { MAX_DEPTH, type ClientMessage } from '../protocol/protocol.js';
import { reject, usableRef, type Rejection } from '../handlers/rejection.js';

export interface Parsed {
  readonly kind: 'parsed';
  readonly message: ClientMessage;
}

/**
 * One text frame's content as a message, with the members that spec names and no others.
 * Errors: `invalid_json` where it is not JSON, `invalid_message` where it is not such an object.
 */
export function parseMessage(text: string): Parsed | Rejection {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return reject('invalid_json', 'the frame is not JSON');
  }
  if (!isObject(value)) return reject('invalid_message', 'the message is not an object');
  const { type, room, data, id } = value;
  const ref = usableRef(id);
  if (typeof type !== 'string') return reject('invalid_message', 'type is not a string', ref);
  if (room !== undefined && typeof room !== 'string') return reject('invalid_message', 'room is not a string', ref);
  if (id !== undefined && typeof id !== 'string') return reject('invalid_message', 'id is not a string', ref);
  if (data === null) return reject('invalid_message', 'data is null', ref);
  const flaw = flawOf(value, MAX_DEPTH);
  if (flaw !== undefined) return reject('invalid_message', flaw, ref);
  return { kind: 'parsed', message: pick(type, room, data, id) };
}

function pick(type: string, room: string | undefined, data: unknown, id: string | undefined): ClientMessage {
  return { type, room, data, id };
}

function isObject(value: unknown): value is Record<'type' | 'room' | 'data' | 'id', unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What cannot be written again as it was read: too deep for JSON.stringify, or a number beyond a double's range. */
function flawOf(value: unknown, levels: number): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'a number is out of range';
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return `nested deeper than ${MAX_DEPTH}`;
  for (const name in value) {
    const flaw = flawOf((value as Record<string, unknown>)[name], levels - 1);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

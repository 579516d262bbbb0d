/**
 * The service as its specification has it, written from docs/protocol.md and from nothing in src: what one text of one client leads to.
 */

export interface Sender {
  readonly rooms: readonly string[];
  /** The claims of its token; absent without authentication. */
  readonly claims?: Claims | undefined;
}

export interface Claims {
  readonly rooms?: readonly string[];
  readonly publish?: readonly string[];
  readonly global?: boolean;
}

export type Outcome =
  | { readonly kind: 'error'; readonly code: string; readonly ref: string | undefined }
  /** `room` undefined: to everybody. `id` undefined: a fresh one. */
  | { readonly kind: 'publish'; readonly room: string | undefined; readonly data: unknown; readonly id: string | undefined }
  | { readonly kind: 'pong'; readonly id: string | undefined; readonly data: unknown }
  | { readonly kind: 'nothing' }
  /** The handler of this type ends the connection with 1011. */
  | { readonly kind: 'broken' };

export const MAX_MESSAGE_BYTES = 65_536;
const ENVELOPE_BYTES = 1024;
const MAX_LEVELS = 64;

export const BAD_MESSAGES: ReadonlySet<string> = new Set(['invalid_json', 'invalid_message', 'unknown_type', 'forbidden_type']);
const SERVERS: readonly string[] = ['presence', 'notification', 'system', 'error'];

// RFC 9562 section 4: a version from 1 to 8 and the variant 10, or all bits alike.
const UUID = /^([\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}|([0f])\2{7}(-\2{4}){3}-\2{12})$/i;

interface Message {
  readonly type: string;
  readonly room: string | undefined;
  readonly data: unknown;
  readonly id: string | undefined;
  /** What an error about it refers to. */
  readonly ref: string | undefined;
}

export function outcomeOf(text: string, sender: Sender): Outcome {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return wrong('invalid_json', undefined);
  }
  const message = messageIn(value);
  return 'kind' in message ? message : handled(message, sender);
}

function messageIn(value: unknown): Message | Outcome {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('invalid_message', undefined);
  const own = new Map(Object.entries(value));
  const [type, room, data, id] = ['type', 'room', 'data', 'id'].map((name): unknown => own.get(name));
  const ref = typeof id === 'string' && Buffer.byteLength(id) <= 128 ? id : undefined;
  const isWhole = typeof type === 'string' && isText(room) && isText(id) && data !== null;
  if (!isWhole || levels(value) > MAX_LEVELS || !isFinite(value)) return wrong('invalid_message', ref);
  return { type, room, data, id, ref };
}

function handled(message: Message, sender: Sender): Outcome {
  const { type, data, id, ref } = message;
  if (SERVERS.includes(type)) return wrong('forbidden_type', ref);
  if (type === 'boom') return { kind: 'broken' };
  if (!['chat', 'ping', 'pong'].includes(type)) return wrong('unknown_type', ref);
  if ((type === 'chat' && !isChat(data)) || growsTooLarge(message, sender)) return wrong('invalid_message', ref);
  if (type === 'pong') return { kind: 'nothing' };
  return type === 'ping' ? { kind: 'pong', id, data: data ?? {} } : published(message, sender);
}

/** Whether a pattern covers a name; slow, and plain to see. */
export function covers(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  if (pattern.startsWith('*')) return covers(pattern.slice(1), name) || (name !== '' && covers(pattern, name.slice(1)));
  return name.startsWith(pattern.charAt(0)) && covers(pattern.slice(1), name.slice(1));
}

/** Whether an upgrade into these rooms is let in. */
export function mayConnect({ rooms, claims }: Sender): boolean {
  return rooms.every((room) => claims?.rooms === undefined || claims.rooms.some((pattern) => covers(pattern, room)));
}

function published({ room: named, data, id, ref }: Message, sender: Sender): Outcome {
  const { rooms } = sender;
  const room = named ?? (rooms.length === 0 ? '' : rooms.length === 1 ? rooms[0] : undefined);
  if (room === undefined) return wrong('room_required', ref);
  if (room !== '' && !rooms.includes(room)) return wrong('not_in_room', ref);
  if (!mayPublish(room, sender)) return wrong('forbidden', ref);
  // The broker of these conversations does what it is told.
  const { content } = data as { content: string };
  if (content.startsWith('refuse')) return wrong('unavailable', ref);
  if (content.startsWith('doubt')) return wrong('unconfirmed', ref);
  return { kind: 'publish', room: room || undefined, data, id: usable(id) };
}

/** Another id is replaced by a fresh one. */
function usable(id = ''): string | undefined {
  return UUID.test(id) ? id : undefined;
}

function mayPublish(room: string, { claims }: Sender): boolean {
  if (claims === undefined) return true;
  if (room === '') return claims.global === true;
  const patterns = claims.publish ?? claims.rooms ?? ['*'];
  return patterns.some((pattern) => covers(pattern, room));
}

function wrong(code: string, ref: string | undefined): Outcome {
  return { kind: 'error', code, ref };
}

function isText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function isChat(data: unknown): boolean {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return false;
  return typeof new Map<string, unknown>(Object.entries(data)).get('content') === 'string';
}

function levels(value: unknown): number {
  let deepest = 0;
  let level: unknown[] = [value];
  while (level.length > 0) {
    const objects = level.filter((each): each is object => typeof each === 'object' && each !== null);
    if (objects.length > 0) deepest += 1;
    level = objects.flatMap((each) => Object.values(each) as unknown[]);
  }
  return deepest;
}

function isFinite(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_VALUE;
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(isFinite);
}

function growsTooLarge({ type, data, room: named }: Message, { rooms }: Sender): boolean {
  const room = named ?? (rooms.length === 1 ? rooms[0] : '');
  const envelope = {
    id: 'x'.repeat(36),
    type,
    ...(room !== '' && { room }),
    from: 'x'.repeat(36),
    data,
    timestamp: 'x'.repeat(24),
  };
  return Buffer.byteLength(JSON.stringify(envelope)) > MAX_MESSAGE_BYTES + ENVELOPE_BYTES;
}

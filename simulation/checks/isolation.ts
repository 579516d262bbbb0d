import { SERVER_ID, type Envelope } from '../../src/protocol/protocol.js';
import { isSentBy } from '../client.js';
import type { Connection, Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** A connection receives only messages of its rooms, global messages, and answers to its own messages. */
export class IsolationCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact): void {
    if (fact.kind !== 'heard') return;
    const { connection, message } = fact;
    const flaw = flawOf(connection, message);
    if (flaw !== undefined) this.#options.report(`received ${message.type} ${message.id}: ${flaw}`, connection);
  }
}

function flawOf(connection: Connection, message: Envelope): string | undefined {
  const { room } = message;
  if (room !== undefined && !connection.client.rooms.includes(room)) return `it is of ${room}, which the connection is not in`;
  return FLAWS.get(message.type)?.(message, connection) ?? (FLAWS.has(message.type) ? undefined : 'there is no such type');
}

type Flaw = (message: Envelope, connection: Connection) => string | undefined;

const isOwn: Flaw = ({ from, room }) => (from === SERVER_ID && room === undefined ? undefined : `it is from ${from}`);
const isOfRoom: Flaw = ({ room }) => (room === undefined ? 'it names no room' : undefined);

const FLAWS: ReadonlyMap<string, Flaw> = new Map<string, Flaw>([
  [
    'chat',
    ({ id, room = '', data }) =>
      String((data as { content?: unknown }).content).startsWith(`${id} in ${room} `)
        ? undefined
        : 'it is not what was sent there',
  ],
  ['pong', (message, connection) => (isSentBy(connection, message) ? undefined : 'it answers another client')],
  ['error', isOwn],
  ['system', isOwn],
  ['presence', isOfRoom],
  ['notification', isOfRoom],
]);

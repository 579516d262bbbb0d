import { SERVER_ID, type Envelope } from '../../../protocol.js';
import { isSaidBy } from '../client.js';
import type { Connection, Fact } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** Nobody hears what is not for them: only their rooms, what is for everybody, and what answers themselves. */
export class IsolationCheck implements Check {
  readonly #options: CheckOptions;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  see(fact: Fact): void {
    if (fact.kind !== 'heard') return;
    const { connection, message } = fact;
    const flaw = flawOf(connection, message);
    if (flaw !== undefined) this.#options.blame(`heard ${message.type} ${message.id}: ${flaw}`, connection);
  }
}

function flawOf(connection: Connection, message: Envelope): string | undefined {
  const { type, room, from, data } = message;
  if (room !== undefined && !connection.client.rooms.includes(room)) return `it is of ${room}, which the connection is not in`;
  switch (type) {
    case 'chat':
      return (data as { content?: string }).content?.startsWith(`${message.id} in ${room ?? ''} `)
        ? undefined
        : 'it is not what was said there';
    case 'pong':
      return isSaidBy(connection, message) ? undefined : 'it answers somebody else';
    case 'error':
    case 'system':
      return from === SERVER_ID && room === undefined ? undefined : `it is from ${from}`;
    case 'presence':
    case 'notification':
      return room === undefined ? 'it names no room' : undefined;
    default:
      return 'there is no such type';
  }
}

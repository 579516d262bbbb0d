import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * A connection has one request at a time. Whoever sends another before the answer is cut off: a packet of them would have a
 * thousand answers made, and behind an upgrade an answer would be read as frames.
 */
export class Turns {
  readonly #unanswered = new WeakSet<Duplex>();

  isNext(socket: Duplex): boolean {
    const isNext = !this.#unanswered.has(socket);
    if (!isNext) socket.destroy();
    return isNext;
  }

  begin(socket: Duplex, response: ServerResponse): void {
    this.#unanswered.add(socket);
    // `writableFinished` is true before Node has let go of the answer.
    response.once('close', () => this.#unanswered.delete(socket));
  }
}

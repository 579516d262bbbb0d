import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Holds each connection to one request at a time (no pipelining). A connection that sends another request before the answer is
 * destroyed: one packet could ask for a thousand answers, and after an upgrade a client would read an answer as frames.
 */
export class OneRequest {
  readonly #unanswered = new WeakSet<Duplex>();

  /** @returns whether the request may be answered; if not, its socket is destroyed */
  accepts(socket: Duplex): boolean {
    const isIdle = !this.#unanswered.has(socket);
    if (!isIdle) socket.destroy();
    return isIdle;
  }

  /** A request is being answered, until its response is closed. */
  begin(socket: Duplex, response: ServerResponse): void {
    this.#unanswered.add(socket);
    // Not `finish`: Node still holds the response then.
    response.once('close', () => this.#unanswered.delete(socket));
  }
}

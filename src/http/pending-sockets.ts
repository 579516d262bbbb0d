import type { Socket } from 'node:net';

/**
 * The sockets of clients that have connected and not got what they came for: they have not finished a request, or may send another
 * one. Their time is bounded elsewhere, their number here: where there are too many, the one that has said nothing for the longest
 * makes room. So a flood of them shuts nobody out who sends a request without delay.
 */
export class PendingSockets {
  readonly #most: () => number;
  readonly #onDropped: () => void;
  /** The one that was heard of least recently is first. */
  readonly #sockets = new Set<Socket>();
  /** One for all, for there may be many sockets. */
  readonly #onClose: (this: Socket) => void;

  /**
   * @param most how many there may be now; where it falls, one makes room for each that comes
   * @param onDropped called for each that makes room
   */
  constructor(most: () => number, onDropped: () => void) {
    this.#most = most;
    this.#onDropped = onDropped;
    const sockets = this.#sockets;
    this.#onClose = function (this: Socket) {
      sockets.delete(this);
    };
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** It has connected. */
  enter(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', this.#onClose);
    this.makeRoom();
  }

  /** Where they are too many, the oldest goes. */
  makeRoom(): void {
    const [oldest] = this.#sockets;
    if (this.#sockets.size <= this.#most() || oldest === undefined) return;
    this.leave(oldest);
    oldest.destroy();
    this.#onDropped();
  }

  /** It has sent a request. */
  touch(socket: Socket): void {
    if (this.#sockets.delete(socket)) this.#sockets.add(socket);
  }

  /** It is of no concern any more. */
  leave(socket: Socket): void {
    if (this.#sockets.delete(socket)) socket.off('close', this.#onClose);
  }
}

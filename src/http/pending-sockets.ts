import type { Socket } from 'node:net';

/**
 * Sockets that are not WebSockets: their clients have not finished a request, or may send another one. Timeouts bound their age, this
 * class bounds their number: when there are too many, the socket that has been silent for longest is destroyed. So a flood of them
 * does not shut out a client that sends a request without delay.
 */
export class PendingSockets {
  readonly #most: () => number;
  readonly #onDropped: () => void;
  /** The one that has been silent for longest is first. */
  readonly #sockets = new Set<Socket>();
  /** One listener for all sockets, of which there may be many. */
  readonly #onClose: (this: Socket) => void;

  /**
   * @param most the number that is allowed now; where it falls, one socket is destroyed for each that connects
   * @param onDropped called for each socket that is destroyed
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

  /** A client has connected. */
  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', this.#onClose);
    this.makeRoom();
  }

  /** Destroys the oldest, where there are too many. */
  makeRoom(): void {
    const [oldest] = this.#sockets;
    if (this.#sockets.size <= this.#most() || oldest === undefined) return;
    this.remove(oldest);
    oldest.destroy();
    this.#onDropped();
  }

  /** A client has sent a request. */
  touch(socket: Socket): void {
    if (this.#sockets.delete(socket)) this.#sockets.add(socket);
  }

  /** The socket is a WebSocket from now on. */
  remove(socket: Socket): void {
    if (this.#sockets.delete(socket)) socket.off('close', this.#onClose);
  }
}

import { createServer, type Server, type Socket } from 'node:net';
import { receive, send, type ToRelay } from './wire.js';

/** A pod that does not read what it is sent is let go of; it comes back and is told a gap. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** The process in the middle: what one pod publishes goes to all that want the room, in the order in which it came here. */
export class Relay {
  readonly #server: Server;
  /** Pods, and the rooms that each wants. */
  readonly #pods = new Map<Socket, Set<string>>();

  constructor() {
    this.#server = createServer((socket) => {
      this.#pods.set(socket, new Set());
      receive(socket, (line) => {
        // Both ends are ours.
        this.#take(socket, line as ToRelay);
      });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#pods.delete(socket));
    });
  }

  /** @param path of the Unix socket to listen on */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(path, resolve));
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#pods.keys()) socket.destroy();
    await closed;
  }

  #take(pod: Socket, line: ToRelay): void {
    switch (line[0]) {
      case 'join':
        this.#pods.get(pod)?.add(line[1]);
        break;
      case 'leave':
        this.#pods.get(pod)?.delete(line[1]);
        break;
      case 'publish':
        this.#publish(line[2], line[3]);
        send(pod, ['published', line[1]]);
        break;
      case 'fence':
        send(pod, line);
    }
  }

  #publish(room: string, payload: string): void {
    for (const [pod, rooms] of this.#pods) {
      if (!rooms.has(room)) continue;
      send(pod, ['publication', room, payload]);
      if (pod.writableLength > MAX_WAITING_BYTES) pod.destroy();
    }
  }
}

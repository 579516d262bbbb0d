import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What is swallowed: of which of a pod's connections, and what flows which way. */
export interface Swallow {
  readonly connections: 'publisher' | 'subscription' | 'all';
  readonly bytes: 'to Redis' | 'from Redis' | 'all';
}

/** Stands between pods and a Redis: loses what flows without closing anything, or leads elsewhere, as a network can. */
export class Proxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Where connections made from now on lead. */
  redisPort: number;
  #swallow: Swallow | undefined;

  private constructor(server: Server, redisPort: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.redisPort = redisPort;
    server.on('connection', (pod) => {
      this.#join(pod, connect(this.redisPort, '127.0.0.1'));
    });
  }

  static async to(redisPort: number): Promise<Proxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Proxy(server, redisPort);
  }

  /** From now on, until `heal`; a connection that lost something once never recovers, as TCP would not let it. */
  swallow(swallow: Swallow): void {
    this.#swallow = swallow;
  }

  heal(): void {
    this.#swallow = undefined;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(pod: Socket, redis: Socket): void {
    let name = '';
    let said = '';
    const lost = new Set<Socket>();
    const loses = (target: Socket) => {
      const { connections, bytes } = this.#swallow ?? {};
      if (connections === 'all' || (connections !== undefined && name === connections)) {
        if (bytes === 'all' || bytes === (target === redis ? 'to Redis' : 'from Redis')) lost.add(target);
      }
      return lost.has(target);
    };
    pod.on('data', (chunk) => {
      // A pod says which connection this is (CLIENT SETNAME) before anything else of interest.
      if (name === '') said += chunk.toString('latin1');
      name ||= /:(publisher|subscription)\b/.exec(said)?.[1] ?? '';
      if (!loses(redis)) redis.write(chunk);
    });
    redis.on('data', (chunk) => {
      if (!loses(pod)) pod.write(chunk);
    });
    for (const [one, other] of [
      [pod, redis],
      [redis, pod],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

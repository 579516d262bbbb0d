import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Subject } from 'rxjs';
import { connection } from './connection.js';
import { refuse } from './http.js';
import type { Pod } from './pod.js';
import { admit, isRefusal, type Refusal, type UpgradeRequest } from './request.js';
import { TICK } from './transport.js';
import { WebSocketTransport, webSockets, type TransportHost, type Upgrade, type WebSocket } from './websocket.js';

/** Where upgrades are judged and become connections; knows all that are open. */
export class Reception {
  readonly connections = new Set<WebSocketTransport>();
  /** Emits when a connection has ended. */
  readonly ended$ = new Subject<void>();
  /** Set when the pod goes away: from then on nobody is let in. */
  draining = false;
  readonly #pod: Pod;
  readonly #maxConnections: number;
  readonly #upgrade: ReturnType<typeof webSockets>;

  readonly #host: TransportHost;

  constructor(pod: Pod, maxConnections: number) {
    this.#pod = pod;
    const { metrics } = pod;
    this.#host = {
      metrics,
      onEnd: (transport) => {
        this.connections.delete(transport);
        metrics.connections(-1);
        this.ended$.next();
      },
    };
    this.#maxConnections = maxConnections;
    this.#upgrade = webSockets(pod.limits.maxMessageBytes, (socket, message) => {
      // RFC 6455 section 4.4: say which version would do.
      this.#refuse(socket, { status: 400, code: 'bad_request', message, headers: { 'Sec-WebSocket-Version': '13' } });
    });
  }

  receive(upgrade: Upgrade, request: UpgradeRequest): void {
    const { draining, connections } = this;
    const verdict = admit(request, { draining, connections: connections.size, maxConnections: this.#maxConnections });
    if (isRefusal(verdict)) this.#refuse(upgrade.socket, verdict);
    else this.#open(upgrade, verdict);
  }

  /** The pod's pulse, to every connection. */
  tick(): void {
    for (const transport of this.connections) transport.tell(TICK);
  }

  #open(upgrade: Upgrade, rooms: readonly string[]): void {
    const { socket } = upgrade;
    this.#upgrade(upgrade, (webSocket) => {
      this.#connect(webSocket, socket, rooms);
    });
  }

  /** Apart from `#open`, so that what lives as long as the connection does not hold its request. */
  #connect(webSocket: WebSocket, socket: Socket, rooms: readonly string[]): void {
    const { metrics, world } = this.#pod;
    const id = world.newId();
    const context = { pod: this.#pod, id, identity: id, rooms };
    const transport = new WebSocketTransport(webSocket, socket, this.#host);
    this.connections.add(transport);
    metrics.connections(1);
    transport.begin((inbound$, consumer) => connection(inbound$, consumer, context));
  }

  #refuse(socket: Duplex, refusal: Refusal): void {
    this.#pod.metrics.upgradeRefused(refusal.code);
    refuse(socket, refusal);
  }
}

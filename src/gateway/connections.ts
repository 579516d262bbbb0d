import type { Duplex } from 'node:stream';
import { Subject, fromEvent, map, merge, take, takeUntil, timer } from 'rxjs';
import { addressKey, clientAddress } from '../http/address.js';
import { refuse } from '../http/answer.js';
import type { Config } from '../config/config.js';
import { connection } from '../connection/connection.js';
import { admitted$, type Admitted, type Admission } from '../auth/admission.js';
import { PerAddressLimit } from '../http/per-address.js';
import type { Pod } from '../connection/context.js';
import {
  AUTH_UNAVAILABLE,
  DRAINING,
  OVERLOADED,
  admit,
  isRefusal,
  type OriginPolicy,
  type Refusal,
  type UpgradeRequest,
} from '../http/request.js';
import { TICK } from '../connection/transport.js';
import { WebSocketTransport, webSockets, type TransportHost } from './websocket.js';
import type { Upgrade } from '../http/server.js';

type ReceptionConfig = Pick<
  Config,
  'maxConnections' | 'maxConnectionsPerAddress' | 'upgradeTimeoutMs' | 'allowedOrigins' | 'trustProxy'
>;

/** So many tokens may be under check at once; each holds its request and its socket, some 20 KB. */
const MAX_PENDING = 1000;

/** Where an upgrade comes from and goes to. */
interface PendingUpgrade {
  readonly upgrade: Upgrade;
  readonly rooms: readonly string[];
  /** What is counted as its address; undefined where addresses are not limited. */
  readonly address: string | undefined;
}

/** Where upgrades are judged and become connections; knows all that are open. */
export class Connections {
  readonly connections = new Set<WebSocketTransport>();
  /** Emits when a connection has ended. */
  readonly ended$ = new Subject<void>();
  readonly #pod: Pod;
  readonly #config: ReceptionConfig;
  readonly #border: OriginPolicy;
  readonly #gatekeeper: Admission | undefined;
  readonly #upgrade: ReturnType<typeof webSockets>;
  readonly #places: PerAddressLimit | undefined;
  /** Of each connection, where addresses are limited. */
  readonly #addresses = new Map<WebSocketTransport, string>();
  /** Upgrades whose token is under check; they have their places already. */
  #pending = 0;
  readonly #drain$ = new Subject<void>();
  #draining = false;
  readonly #host: TransportHost;

  /** @param gatekeeper absent: whoever comes is let in */
  constructor(pod: Pod, config: ReceptionConfig, gatekeeper?: Admission) {
    const { allowedOrigins, trustProxy, maxConnectionsPerAddress } = config;
    this.#pod = pod;
    this.#config = config;
    this.#border = { origins: allowedOrigins, trusted: trustProxy };
    this.#gatekeeper = gatekeeper;
    this.#places = maxConnectionsPerAddress > 0 ? new PerAddressLimit(maxConnectionsPerAddress) : undefined;
    this.#host = {
      metrics: pod.metrics,
      onEnd: (transport) => {
        this.#leave(transport);
      },
    };
    this.#upgrade = webSockets(pod.limits.maxMessageBytes, (socket, message) => {
      // RFC 6455 section 4.4: say which version would do.
      this.#refuse(socket, { status: 400, code: 'bad_request', message, headers: { 'Sec-WebSocket-Version': '13' } });
    });
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The pod goes away: from now on nobody is let in, nor is who waits already. */
  drain(): void {
    this.#draining = true;
    this.#drain$.next();
  }

  receive(upgrade: Upgrade, request: UpgradeRequest): void {
    const address = this.#addressOf(request);
    const rooms = admit(request, { draining: this.#draining, full: this.#isFull(address) }, this.#border);
    if (isRefusal(rooms)) this.#refuse(upgrade.socket, rooms);
    else if (this.#gatekeeper) this.#check({ upgrade, rooms, address }, request, this.#gatekeeper);
    else this.#open({ upgrade, rooms, address });
  }

  #addressOf({ peer, headers }: UpgradeRequest): string | undefined {
    if (!this.#places) return undefined;
    return addressKey(clientAddress(peer, headers['x-forwarded-for'] ?? [], this.#border.trusted));
  }

  #isFull(address: string | undefined): boolean {
    const { maxConnections } = this.#config;
    if (maxConnections > 0 && this.connections.size + this.#pending >= maxConnections) return true;
    if (this.#pending >= MAX_PENDING) return true;
    return address !== undefined && this.#places?.isFull(address) === true;
  }

  /** Nobody reads the socket meanwhile: what the client sends early waits in it, and TCP holds back the rest. */
  #check(visit: PendingUpgrade, { headers }: UpgradeRequest, gatekeeper: Admission): void {
    const { upgrade, rooms, address } = visit;
    const { socket } = upgrade;
    this.#pending += 1;
    if (address !== undefined) this.#places?.take(address);
    merge(
      admitted$(headers, rooms, gatekeeper),
      this.#drain$.pipe(map(() => DRAINING)),
      timer(this.#config.upgradeTimeoutMs, this.#pod.runtime.scheduler).pipe(map(() => AUTH_UNAVAILABLE)),
    )
      .pipe(take(1), takeUntil(fromEvent(socket, 'close')))
      .subscribe((verdict) => {
        if (isRefusal(verdict)) this.#refuse(socket, verdict);
        else this.#open(visit, verdict);
      })
      .add(() => {
        this.#pending -= 1;
        if (address !== undefined) this.#places?.leave(address);
      });
  }

  /** The pod is full, or is not any more (see `HeldBytes`). */
  hold(isHeld: boolean): void {
    for (const transport of this.connections) transport.hold(isHeld);
  }

  /** The pod's pulse, to every connection. */
  tick(): void {
    for (const transport of this.connections) transport.tell(TICK);
  }

  #open({ upgrade, rooms, address }: PendingUpgrade, admitted?: Admitted): void {
    const { socket } = upgrade;
    const { held, hub } = this.#pod;
    if (held.isFull || !hub.hasPlaceFor(rooms)) {
      this.#refuse(socket, OVERLOADED);
      return;
    }
    this.#upgrade(upgrade, (webSocket) => {
      this.#connect(new WebSocketTransport(webSocket, socket, this.#host), { rooms, address }, admitted);
    });
  }

  /** Apart from `#open`, so that what lives as long as the connection does not hold its request. */
  #connect(
    transport: WebSocketTransport,
    { rooms, address }: Omit<PendingUpgrade, 'upgrade'>,
    admitted: Admitted | undefined,
  ): void {
    const { metrics, runtime } = this.#pod;
    const id = runtime.newId();
    const context = { pod: this.#pod, id, identity: admitted?.identity ?? id, rooms, access: admitted?.access };
    this.connections.add(transport);
    if (address !== undefined) {
      this.#places?.take(address);
      this.#addresses.set(transport, address);
    }
    metrics.connections(1);
    transport.begin((inbound$, consumer) => connection(inbound$, consumer, context));
  }

  #leave(transport: WebSocketTransport): void {
    this.connections.delete(transport);
    const address = this.#addresses.get(transport);
    if (address !== undefined) {
      this.#addresses.delete(transport);
      this.#places?.leave(address);
    }
    this.#pod.metrics.connections(-1);
    this.ended$.next();
  }

  #refuse(socket: Duplex, refusal: Refusal): void {
    this.#pod.metrics.upgradeRefused(refusal.code);
    refuse(socket, refusal);
  }
}

import type { Duplex } from 'node:stream';
import { Subject, fromEvent, map, merge, take, takeUntil, timer } from 'rxjs';
import { addressKey, clientAddress } from '../http/address.js';
import { refuse } from '../http/answer.js';
import type { Config } from '../config/config.js';
import { connection } from '../connection/connection.js';
import { admitted$, type Admitted, type Admission } from '../auth/admission.js';
import { PerAddressLimit } from '../http/per-address.js';
import type { Pod } from '../connection/context.js';
import { admit, type OriginPolicy, type UpgradeRequest } from '../http/request.js';
import { AUTH_UNAVAILABLE, DRAINING, OVERLOADED, isRefusal, type Refusal } from '../http/refusal.js';
import { TICK } from '../connection/transport.js';
import { WebSocketTransport, webSockets, type TransportHost } from './websocket.js';
import type { Upgrade } from '../http/server.js';

type ConnectionsConfig = Pick<
  Config,
  'maxConnections' | 'maxConnectionsPerAddress' | 'upgradeTimeoutMs' | 'allowedOrigins' | 'trustProxy'
>;

/** The number of tokens that may be checked at once; each holds its request and its socket, some 20 KB. */
const MAX_PENDING = 1000;

/** An upgrade that passed all checks but that of its token. */
interface PendingUpgrade {
  readonly upgrade: Upgrade;
  readonly rooms: readonly string[];
  /** The key of its address in `PerAddressLimit`; undefined where addresses are not limited. */
  readonly address: string | undefined;
}

/** Checks upgrades, turns them into connections, and knows all that are open. */
export class Connections {
  readonly connections = new Set<WebSocketTransport>();
  /** Emits when a connection has ended. */
  readonly ended$ = new Subject<void>();
  readonly #pod: Pod;
  readonly #config: ConnectionsConfig;
  readonly #originPolicy: OriginPolicy;
  readonly #admission: Admission | undefined;
  readonly #upgrade: ReturnType<typeof webSockets>;
  readonly #perAddress: PerAddressLimit | undefined;
  /** The address key of each connection, where addresses are limited. */
  readonly #addresses = new Map<WebSocketTransport, string>();
  /** Upgrades whose token is being checked; they count against the limits already. */
  #pending = 0;
  readonly #drain$ = new Subject<void>();
  #draining = false;
  readonly #host: TransportHost;

  /** @param admission absent without authentication */
  constructor(pod: Pod, config: ConnectionsConfig, admission?: Admission) {
    const { allowedOrigins, trustProxy, maxConnectionsPerAddress } = config;
    this.#pod = pod;
    this.#config = config;
    this.#originPolicy = { origins: allowedOrigins, trusted: trustProxy };
    this.#admission = admission;
    this.#perAddress = maxConnectionsPerAddress > 0 ? new PerAddressLimit(maxConnectionsPerAddress) : undefined;
    this.#host = {
      metrics: pod.metrics,
      onEnd: (transport) => {
        this.#leave(transport);
      },
    };
    this.#upgrade = webSockets(pod.limits.maxMessageBytes, (socket, message) => {
      // RFC 6455 section 4.4: name the supported version.
      this.#refuse(socket, { status: 400, code: 'bad_request', message, headers: { 'Sec-WebSocket-Version': '13' } });
    });
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Refuses all upgrades from now on, and those whose token is being checked. */
  drain(): void {
    this.#draining = true;
    this.#drain$.next();
  }

  receive(upgrade: Upgrade, request: UpgradeRequest): void {
    const address = this.#addressOf(request);
    const rooms = admit(request, { draining: this.#draining, full: this.#isFull(address) }, this.#originPolicy);
    if (isRefusal(rooms)) this.#refuse(upgrade.socket, rooms);
    else if (this.#admission) this.#check({ upgrade, rooms, address }, request, this.#admission);
    else this.#open({ upgrade, rooms, address });
  }

  #addressOf({ peer, headers }: UpgradeRequest): string | undefined {
    if (!this.#perAddress) return undefined;
    return addressKey(clientAddress(peer, headers['x-forwarded-for'] ?? [], this.#originPolicy.trusted));
  }

  #isFull(address: string | undefined): boolean {
    const { maxConnections } = this.#config;
    if (maxConnections > 0 && this.connections.size + this.#pending >= maxConnections) return true;
    if (this.#pending >= MAX_PENDING) return true;
    return address !== undefined && this.#perAddress?.isFull(address) === true;
  }

  /** Nothing reads the socket meanwhile: early frames wait in it, and TCP holds back the rest. */
  #check(pending: PendingUpgrade, { headers }: UpgradeRequest, admission: Admission): void {
    const { upgrade, rooms, address } = pending;
    const { socket } = upgrade;
    this.#pending += 1;
    if (address !== undefined) this.#perAddress?.take(address);
    merge(
      admitted$(headers, rooms, admission),
      this.#drain$.pipe(map(() => DRAINING)),
      timer(this.#config.upgradeTimeoutMs, this.#pod.runtime.scheduler).pipe(map(() => AUTH_UNAVAILABLE)),
    )
      .pipe(take(1), takeUntil(fromEvent(socket, 'close')))
      .subscribe((outcome) => {
        if (isRefusal(outcome)) this.#refuse(socket, outcome);
        else this.#open(pending, outcome);
      })
      .add(() => {
        this.#pending -= 1;
        if (address !== undefined) this.#perAddress?.release(address);
      });
  }

  /** Stops reading all sockets while the pod holds too many bytes (see `HeldBytes`), or starts again. */
  hold(isHeld: boolean): void {
    for (const transport of this.connections) transport.hold(isHeld);
  }

  /** Passes a tick of the pod's heartbeat clock to every connection. */
  tick(): void {
    for (const transport of this.connections) transport.emit(TICK);
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

  /** Separate from `#open`, so that no closure that lives as long as the connection holds its request. */
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
      this.#perAddress?.take(address);
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
      this.#perAddress?.release(address);
    }
    this.#pod.metrics.connections(-1);
    this.ended$.next();
  }

  #refuse(socket: Duplex, refusal: Refusal): void {
    this.#pod.metrics.upgradeRefused(refusal.code);
    refuse(socket, refusal);
  }
}

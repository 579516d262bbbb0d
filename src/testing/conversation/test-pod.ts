import { Subject, Subscription } from 'rxjs';
import type { Access, Authorize } from '../../auth/grant.js';
import type { Config } from '../../config/config.js';
import { drain } from '../../server/drain.js';
import { createPod, type PodParts } from '../../server/pod.js';
import type { Pod } from '../../connection/context.js';
import { Presence } from '../../hub/presence.js';
import { GLOBAL_ROOM, type Envelope } from '../../protocol/protocol.js';
import type { Publication } from '../../broker/broker.js';
import { TICK } from '../../connection/transport.js';
import { MarbleError } from '../diagram/marble-error.js';
import type { Closed } from '../heard.js';
import { TestBroker } from './test-broker.js';
import { TestClient } from './test-client.js';

export interface TestPodOptions {
  readonly config: Config;
  readonly parts: Omit<PodParts, 'limits' | 'broker'>;
  readonly authorize: Authorize;
  /** What joins the pods. */
  readonly bus: Subject<Publication>;
}

/** Who connects. */
export interface Caller {
  readonly name: string;
  readonly identity: string;
  readonly rooms: readonly string[];
  /** What its token says; absent: it has none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** One process of the service, without its edges: what server.ts puts together, but for HTTP. */
export class TestPod {
  readonly clients = new Set<TestClient>();
  readonly broker: TestBroker;
  readonly #options: TestPodOptions;
  readonly #pod: Pod;
  readonly #ended$ = new Subject<void>();
  readonly #running = new Subscription();
  readonly #telling: Presence;
  #isDraining = false;

  constructor(options: TestPodOptions) {
    const { config, bus, parts } = options;
    this.#options = options;
    this.broker = new TestBroker(bus, () => parts.runtime.scheduler.now());
    this.#pod = createPod({ ...parts, limits: config, broker: this.broker });
    this.#running.add(
      this.#pod.clock.tick$.subscribe(() => {
        for (const client of this.clients) client.tell(TICK);
      }),
    );
    this.#telling = new Presence(this.#pod, config.presenceMaxMembers);
  }

  /** Timers of its own that have no end. */
  get timers(): number {
    return this.#running.closed ? 0 : 1;
  }

  /** The rooms that it is subscribed to. */
  get rooms(): readonly string[] {
    return this.broker.rooms.filter((room) => room !== GLOBAL_ROOM);
  }

  /** @throws MarbleError for one that may not */
  connect(caller: Caller, heard: (what: Envelope | Closed) => void): TestClient {
    const { name, identity, rooms } = caller;
    const client = new TestClient({
      context: { pod: this.#pod, id: name, identity, rooms, access: this.#admit(caller) },
      heard,
      ended: (ended) => {
        this.clients.delete(ended);
        this.#ended$.next();
      },
    });
    if (!client.isOver) this.clients.add(client);
    return client;
  }

  #admit({ name, identity, rooms, claims }: Caller): Access | undefined {
    if (this.#isDraining) throw new MarbleError(`${name} cannot connect: the pod goes away`);
    if (claims === undefined) return undefined;
    const expiresAtMs = typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : Infinity;
    const grant = this.#options.authorize({ subject: identity, claims, expiresAtMs });
    if (grant && 'then' in grant) throw new MarbleError('authorize gave a promise, which no virtual time waits for');
    if (!grant || !rooms.every((room) => grant.mayJoin(room))) throw new MarbleError(`${name} cannot connect: forbidden`);
    return { grant, expiresAtMs };
  }

  /** What SIGTERM does. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const { config, parts } = this.#options;
    const { runtime } = parts;
    const { shutdownDelayMs: delayMs, shutdownTimeoutMs: timeoutMs } = config;
    drain({
      connections: this.clients,
      ended$: this.#ended$,
      delayMs,
      timeoutMs,
      runtime,
      closing$: this.#telling.stop$,
    }).subscribe({
      complete: () => {
        this.end();
      },
    });
  }

  end(): void {
    for (const client of this.clients) client.terminate();
    this.#running.unsubscribe();
    this.#telling.unsubscribe();
    this.#pod.hub.close();
  }
}

import { BehaviorSubject, Observable, defer, first, ignoreElements, retry, switchMap, tap, timer } from 'rxjs';
import type { Logger } from '../../runtime/log.js';
import type { Runtime } from '../../runtime/runtime.js';
import { addressOf, withoutLogin, type RedisAddress, type Server } from '../address.js';
import type { Connect, RedisLink } from '../link.js';

/** Short, since the next attempt is often at another server. */
const MAX_RETRY_MS = 500;

export interface QueryConnectionOptions {
  /** The login and TLS to use; its host is not used. */
  readonly address: RedisAddress;
  readonly connect: Connect;
  /** The client name, as `CLIENT LIST` shows it. */
  readonly name: string;
  /** The servers to try, in this order. */
  readonly servers: () => readonly Server[];
  readonly runtime: Runtime;
  readonly log: Logger;
}

/** The present connection, or why there is none. */
export type ConnectionState = { readonly link: RedisLink; readonly server: Server } | { readonly reason: string };

const NOT_CONNECTED: ConnectionState = { reason: 'not connected yet' };

/** A connection for queries about the deployment, to any one of several servers that can answer them. */
export class QueryConnection {
  readonly state$ = new BehaviorSubject<ConnectionState>(NOT_CONNECTED);
  readonly #options: QueryConnectionOptions;
  /** Counts the servers that were tried. */
  #attempt = 0;
  #withLogin = true;

  constructor(options: QueryConnectionOptions) {
    this.#options = options;
  }

  /** The state after the first attempt to connect, or the present one; then completes. */
  get attempted$(): Observable<ConnectionState> {
    return this.state$.pipe(first((state) => state !== NOT_CONNECTED));
  }

  /**
   * Connects to one server after another, to the next when one fails, until unsubscribed. Never completes or errors.
   *
   * @param session uses a connection; errors when it is over
   */
  connected(session: (link: RedisLink, server: Server) => Observable<unknown>): Observable<never> {
    const { address, connect, name, servers, runtime } = this.#options;
    return defer(() => {
      const all = servers();
      const server = all[this.#attempt % all.length] ?? '';
      const at = addressOf(server, address);
      return connect({ address: this.#withLogin ? at : withoutLogin(at), name }).pipe(
        tap((link) => {
          this.state$.next({ link, server });
        }),
        switchMap((link) => session(link, server)),
        ignoreElements(),
        tap({
          error: (error: Error) => {
            this.#fail(server, error);
          },
        }),
      );
    }).pipe(retry({ delay: () => timer(runtime.random() * MAX_RETRY_MS, runtime.scheduler) }));
  }

  #fail(server: Server, { message }: Error): void {
    // Sentinels often have no users even if the servers that they monitor do: the same server is tried without a login once.
    this.#withLogin = !message.includes('WRONGPASS') || !this.#withLogin;
    if (this.#withLogin) this.#attempt += 1;
    const reason = `${server}: ${message}`;
    const { value } = this.state$;
    if (!('reason' in value) || value.reason !== reason) this.#options.log.warn({ reason }, 'Redis connection lost');
    this.state$.next({ reason });
  }
}

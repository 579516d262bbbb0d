import { BehaviorSubject, Observable, defer, first, ignoreElements, retry, switchMap, tap, timer } from 'rxjs';
import type { Logger } from '../../runtime/log.js';
import type { Connect, RedisLink } from '../link.js';
import { addressOf, withoutLogin, type RedisAddress, type Server } from '../address.js';
import type { Runtime } from '../../runtime/runtime.js';

/** To the next server it is not far. */
const MAX_RETRY_MS = 500;

export interface RedisWatchOptions {
  /** The login and TLS to use; its host is not used. */
  readonly address: RedisAddress;
  readonly connect: Connect;
  /** What `CLIENT LIST` shows. */
  readonly name: string;
  /** Whom to ask, the first first. */
  readonly servers: () => readonly Server[];
  readonly runtime: Runtime;
  readonly log: Logger;
}

/** A connection to ask, or why there is none. */
export type Asked = { readonly link: RedisLink; readonly server: Server } | { readonly reason: string };

const NOT_YET: Asked = { reason: 'not connected yet' };

/** A connection for questions to any one of several servers that can answer them. */
export class RedisWatch {
  readonly link$ = new BehaviorSubject<Asked>(NOT_YET);
  readonly #options: RedisWatchOptions;
  #turn = 0;
  #login = true;

  constructor(options: RedisWatchOptions) {
    this.#options = options;
  }

  /** What has come of connecting, once something has; then completes. */
  get tried$(): Observable<Asked> {
    return this.link$.pipe(first((asked) => asked !== NOT_YET));
  }

  /**
   * Connects to one server after another, to the next when one fails, until unsubscribed. Never completes or errors.
   *
   * @param use what is done with a connection; errors when it is over
   */
  connected(use: (link: RedisLink, server: Server) => Observable<unknown>): Observable<never> {
    const { address, connect, name, servers, runtime } = this.#options;
    return defer(() => {
      const all = servers();
      const server = all[this.#turn % all.length] ?? '';
      const at = addressOf(server, address);
      return connect({ address: this.#login ? at : withoutLogin(at), name }).pipe(
        tap((link) => {
          this.link$.next({ link, server });
        }),
        switchMap((link) => use(link, server)),
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
    // Sentinels often have no users at all, where the servers that they watch have some.
    this.#login = !message.includes('WRONGPASS') || !this.#login;
    if (this.#login) this.#turn += 1;
    const reason = `${server}: ${message}`;
    const { value } = this.link$;
    if (!('reason' in value) || value.reason !== reason) this.#options.log.warn({ reason }, 'broker connection lost');
    this.link$.next({ reason });
  }
}

import { EMPTY, catchError, concatMap, defer, exhaustMap, interval, map, of, switchMap, throwError, type Observable } from 'rxjs';
import { isPort, type Server } from './address.js';
import { LinkError, type RedisLink } from './link.js';
import { DemotedError } from './liveness/master.js';
import { QueryConnection, type QueryConnectionOptions } from './liveness/query-connection.js';
import { elements, malformedReply, replyTimeout } from './reply.js';

/** The sentinel is asked at least this often: one that does not answer is replaced. */
const POLL_INTERVAL_MS = 2000;

export interface SentinelsOptions extends Omit<QueryConnectionOptions, 'servers'> {
  readonly sentinels: readonly Server[];
  /** The master's name at the sentinels. */
  readonly master: string;
  readonly timeoutMs: number;
}

/** The Redis Sentinels that know which server is the master. */
export class Sentinels {
  readonly #options: SentinelsOptions;
  readonly #connection: QueryConnection;

  constructor(options: SentinelsOptions) {
    this.#options = options;
    this.#connection = new QueryConnection({ ...options, servers: () => options.sentinels });
  }

  /** Keeps a connection to a sentinel that answers until unsubscribed. Never completes or errors. */
  connected(): Observable<never> {
    const { scheduler } = this.#options.runtime;
    return this.#connection.connected((link) =>
      interval(POLL_INTERVAL_MS, scheduler).pipe(exhaustMap(() => this.#askMaster(link))),
    );
  }

  /** Cold: asks which server is the master. Errors with `LinkError` if no sentinel answers, or if it does not know. */
  master$(): Observable<Server> {
    return this.#connection.attempted$.pipe(
      switchMap((state) => {
        if ('reason' in state) return throwError(() => new LinkError(`no sentinel answers: ${state.reason}`));
        return this.#askMaster(state.link);
      }),
    );
  }

  #askMaster(link: RedisLink): Observable<Server> {
    const { master, timeoutMs, runtime } = this.#options;
    return defer(() => link.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master)).pipe(
      map((reply) => {
        if (reply === null) throw new LinkError(`the sentinels know no master called ${master}`);
        const [host, port] = elements(reply);
        const isServer = typeof host === 'string' && host !== '' && typeof port === 'string' && isPort(Number(port));
        if (!isServer) throw malformedReply('SENTINEL');
        return `${host}:${port}`;
      }),
      replyTimeout(link, 'SENTINEL', timeoutMs, runtime),
    );
  }

  /**
   * Completes if the sentinels say that this server is the master; errors with `DemotedError` if they name another. Emits `unknown`
   * and completes if none answers: a pod then stays with its present master.
   */
  verify(server: Server): Observable<'unknown'> {
    return this.master$().pipe(
      catchError(() => of(undefined)),
      concatMap((master) => {
        if (master === undefined) return of('unknown' as const);
        if (master !== server) throw new DemotedError(`the master is ${master} now, not ${server}`);
        return EMPTY;
      }),
    );
  }
}

import { EMPTY, catchError, concatMap, defer, exhaustMap, interval, map, of, switchMap, throwError, type Observable } from 'rxjs';
import { LinkError, type RedisLink } from './link.js';
import { DemotedError, answered, malformed, parts } from './liveness/master.js';
import { isPort, type Server } from './address.js';
import { RedisWatch, type RedisWatchOptions } from './liveness/query-connection.js';

/** How often a sentinel is asked though nobody wants to know: one that does not answer is left for another. */
const POLL_INTERVAL_MS = 2000;

export interface SentinelsOptions extends Omit<RedisWatchOptions, 'servers'> {
  readonly sentinels: readonly Server[];
  /** What the sentinels call the master. */
  readonly master: string;
  readonly timeoutMs: number;
}

/** The sentinels that know which server is the master. */
export class Sentinels {
  readonly #options: SentinelsOptions;
  readonly #watch: RedisWatch;

  constructor(options: SentinelsOptions) {
    this.#options = options;
    this.#watch = new RedisWatch({ ...options, servers: () => options.sentinels });
  }

  /** Keeps a connection to one of them that answers until unsubscribed. Never completes or errors. */
  connected(): Observable<never> {
    const { scheduler } = this.#options.runtime;
    return this.#watch.connected((link) => interval(POLL_INTERVAL_MS, scheduler).pipe(exhaustMap(() => this.#ask(link))));
  }

  /** Cold: asks which server is the master. Errors with `LinkError` where no sentinel can be asked or knows. */
  master$(): Observable<Server> {
    return this.#watch.tried$.pipe(
      switchMap((asked) => {
        if ('reason' in asked) return throwError(() => new LinkError(`no sentinel answers: ${asked.reason}`));
        return this.#ask(asked.link);
      }),
    );
  }

  #ask(link: RedisLink): Observable<Server> {
    const { master, timeoutMs, runtime } = this.#options;
    return defer(() => link.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master)).pipe(
      map((answer) => {
        if (answer === null) throw new LinkError(`the sentinels know no master called ${master}`);
        const [host, port] = parts(answer);
        const isServer = typeof host === 'string' && host !== '' && typeof port === 'string' && isPort(Number(port));
        if (!isServer) throw malformed('SENTINEL');
        return `${host}:${port}`;
      }),
      answered(link, 'SENTINEL', timeoutMs, runtime),
    );
  }

  /**
   * Completes where the sentinels call this server the master; errors with `DemotedError` where they call another so. Where none
   * can be asked, it says so and completes: a pod stays with the master it has.
   */
  agree(server: Server): Observable<'not known'> {
    return this.master$().pipe(
      catchError(() => of(undefined)),
      concatMap((master) => {
        if (master === undefined) return of('not known' as const);
        if (master !== server) throw new DemotedError(`the master is ${master} now, not ${server}`);
        return EMPTY;
      }),
    );
  }
}

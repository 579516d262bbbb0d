import { Observable } from 'rxjs';
import type { HandlerContext } from '../handlers/handler.js';
import type { Logger } from '../runtime/log.js';
import type { CurrentRooms, DispatchContext } from './context.js';

/** The context of one handler, or middleware, of one connection. Its members are made when they are asked for. */
export class OwnContext implements HandlerContext {
  readonly #connection: DispatchContext;
  readonly #rooms: Pick<CurrentRooms, 'rooms$'>;
  readonly #type: string;
  #log: Logger | undefined;

  /** @param type the handler's type, or the middleware's name */
  constructor(connection: DispatchContext, rooms: Pick<CurrentRooms, 'rooms$'>, type: string) {
    this.#connection = connection;
    this.#rooms = rooms;
    this.#type = type;
  }

  get connectionId(): string {
    return this.#connection.id;
  }

  get identity(): string {
    return this.#connection.identity;
  }

  get rooms$(): Observable<readonly string[]> {
    return this.#rooms.rooms$;
  }

  get scheduler(): HandlerContext['scheduler'] {
    return this.#connection.pod.runtime.scheduler;
  }

  get newId(): HandlerContext['newId'] {
    return this.#connection.pod.runtime.newId;
  }

  get random(): HandlerContext['random'] {
    return this.#connection.pod.runtime.random;
  }

  get log(): Logger {
    return (this.#log ??= this.#connection.pod.log.child({ handler: this.#type, connection: this.#connection.id }));
  }

  /** Bound, so that it can be taken out of its context. */
  get count(): HandlerContext['count'] {
    const { metrics } = this.#connection.pod;
    const type = this.#type;
    return (event) => {
      metrics.handlerEvent(type, event);
    };
  }
}

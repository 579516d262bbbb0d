import { Observable, of, type MonoTypeOperatorFunction, type OperatorFunction, type Subscriber } from 'rxjs';
import { TokenExpiredError, untilExpired } from './expiry.js';
import { Inbox } from './inbox.js';
import { Intake } from './intake.js';
import type { MemberEvent } from './member.js';
import { BufferOverflowError, boundedBuffer, type Consumer } from './operators/boundedBuffer.js';
import { HeartbeatTimeoutError, heartbeat } from './operators/heartbeat.js';
import { Stage } from './operators/stage.js';
import type { ConnectionContext } from './pod.js';
import { CloseCode, GLOBAL_ROOM } from './protocol.js';
import { systemBatch } from './server-message.js';
import { shut, type Inbound, type Mail, type Outbound, type Shut } from './transport.js';

/**
 * A connection as an actor: from what its client and its pod tell it to what its socket shall do, with no socket in it.
 *
 * It begins when subscribed to and ends with a `shut`, or when unsubscribed from because the socket is gone; either way its rooms
 * are left and no timer remains. It never errors.
 *
 * @param socket whether it takes more
 */
export function connection(inbound$: Observable<Inbound>, socket: Consumer, context: ConnectionContext): Observable<Outbound> {
  const { pod, id, rooms, access } = context;
  return new Observable<Outbound>((subscriber) => {
    const intake = new Intake(pod.limits.publishWindow, pod.pulse.now);
    const entry$ = of({ kind: 'join', rooms: [GLOBAL_ROOM, ...rooms] } as const);
    const heard$ = pod.hub.member$(id, entry$).pipe(welcomed(context, intake));
    const valid$ = access === undefined ? inbound$ : inbound$.pipe(untilExpired(access, pod.world));
    const said$ = valid$.pipe(heartbeat(pod.keepAlive, intake), answered(context, intake));
    // One subscriber for both, where `merge` would make several: neither completes.
    heard$.subscribe(subscriber);
    said$.subscribe(subscriber);
  }).pipe(boundedBuffer(socket, pod.sendBuffer), untilShut(context));
}

/** `welcome` comes first; only then is what the client said meanwhile handled. */
function welcomed(context: ConnectionContext, intake: Intake): OperatorFunction<MemberEvent, Outbound> {
  return (event$) => new Observable((subscriber) => event$.subscribe(new Welcoming(subscriber, context, intake)));
}

class Welcoming extends Stage<MemberEvent, Outbound> {
  readonly #context: ConnectionContext;
  readonly #intake: Intake;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: Intake) {
    super(output);
    this.#context = context;
    this.#intake = intake;
  }

  protected override take(event: MemberEvent): void {
    if (event.kind === 'batch') {
      this.output.next(event);
    } else if (event.kind === 'joined') {
      const { pod, id, rooms } = this.#context;
      const { pingIntervalMs, maxMessageBytes } = pod.limits;
      this.output.next(systemBatch('welcome', { clientId: id, rooms, pingIntervalMs, maxMessageBytes }, pod.world));
      this.#intake.welcome();
    }
  }
}

/** What the client says is handled, by what it is. */
function answered(context: ConnectionContext, intake: Intake): OperatorFunction<Mail, Outbound> {
  return (mail$) => new Observable((subscriber) => mail$.subscribe(new Inbox(subscriber, context, intake)));
}

/** A `shut` is the last that is asked, and every error becomes one. */
function untilShut(context: ConnectionContext): MonoTypeOperatorFunction<Outbound> {
  return (outbound$) => new Observable((subscriber) => outbound$.subscribe(new Ending(subscriber, context)));
}

class Ending extends Stage<Outbound, Outbound> {
  readonly #context: ConnectionContext;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext) {
    super(output);
    this.#context = context;
  }

  protected override take(outbound: Outbound): void {
    this.output.next(outbound);
    if (outbound.kind === 'shut') this.output.complete();
  }

  protected override _error(error: unknown): void {
    this.take(ending(error, this.#context));
  }
}

function ending(error: unknown, { pod, id }: ConnectionContext): Shut {
  if (error instanceof BufferOverflowError) return shut(CloseCode.slowConsumer, 'too slow: its send buffer was full');
  if (error instanceof HeartbeatTimeoutError) return shut(CloseCode.pongTimeout, 'no sign of life', true);
  if (error instanceof TokenExpiredError) return shut(CloseCode.tokenExpired, error.message);
  pod.log.error({ err: error, connection: id }, 'connection failed');
  return shut(CloseCode.handlerBug, 'internal error');
}

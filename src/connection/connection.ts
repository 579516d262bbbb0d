import { Observable, type MonoTypeOperatorFunction, type OperatorFunction, type Subscriber } from 'rxjs';
import { TokenExpiredError, untilExpired } from './expiry.js';
import { OwnContext } from '../dispatch/handler-context.js';
import { Inbox } from './inbox.js';
import { PublishWindow } from './publish-window.js';
import { ConnectionRooms } from './rooms.js';
import { BufferOverflowError, boundedBuffer, type Consumer } from '../operators/boundedBuffer.js';
import { HeartbeatTimeoutError, heartbeat } from '../operators/heartbeat.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { ConnectionContext } from './context.js';
import { CloseCode } from '../protocol/protocol.js';
import { closeSocket, type Inbound, type Mail, type Outbound, type CloseSocket } from './transport.js';

/** Whose operator it is that the pod has for those whom it connects. */
const HEAR = 'transform';

/**
 * A connection as an actor: from what its client and its pod tell it to what its socket shall do, with no socket in it.
 *
 * It begins when subscribed to and ends with a `shut`, or when unsubscribed from because the socket is gone; either way its rooms
 * are left and no timer remains. It never errors.
 *
 * @param socket whether it takes more
 */
export function connection(inbound$: Observable<Inbound>, socket: Consumer, context: ConnectionContext): Observable<Outbound> {
  const { pod, id, identity, access } = context;
  return new Observable<Outbound>((subscriber) => {
    const intake = new PublishWindow(pod.limits.publishWindow, pod.clock.now, pod.held);
    const membership = new ConnectionRooms(subscriber, context, intake);
    const valid$ = access === undefined ? inbound$ : inbound$.pipe(untilExpired(access, pod.runtime));
    const said$ = valid$.pipe(heartbeat(pod.keepAlive, intake), answered(context, intake, membership));
    if (pod.transform) membership.transform(HEAR, pod.transform(new OwnContext(context, membership, HEAR)));
    // One subscriber for both, where `merge` would make several: neither completes.
    pod.hub.member$(id, membership.change$, identity).subscribe(membership);
    said$.subscribe(subscriber);
  }).pipe(boundedBuffer(socket, pod.sendBuffer), untilShut(context));
}

/** What the client says is handled, by what it is. */
function answered(
  context: ConnectionContext,
  intake: PublishWindow,
  membership: ConnectionRooms,
): OperatorFunction<Mail, Outbound> {
  return (mail$) => new Observable((subscriber) => mail$.subscribe(new Inbox(subscriber, context, intake, membership)));
}

/** A `shut` is the last that is asked, and every error becomes one. */
function untilShut(context: ConnectionContext): MonoTypeOperatorFunction<Outbound> {
  return (outbound$) => new Observable((subscriber) => outbound$.subscribe(new Ending(subscriber, context)));
}

class Ending extends OperatorSubscriber<Outbound, Outbound> {
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

function ending(error: unknown, { pod, id }: ConnectionContext): CloseSocket {
  if (error instanceof BufferOverflowError) return closeSocket(CloseCode.slowConsumer, 'too slow: its send buffer was full');
  if (error instanceof HeartbeatTimeoutError) return closeSocket(CloseCode.pongTimeout, 'no sign of life', true);
  if (error instanceof TokenExpiredError) return closeSocket(CloseCode.tokenExpired, error.message);
  pod.log.error({ err: error, connection: id }, 'connection failed');
  return closeSocket(CloseCode.handlerBug, 'internal error');
}

import { Observable, pipe, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import { checked } from '../dispatch/check.js';
import { dispatched } from '../dispatch/dispatch.js';
import { OwnContext } from '../dispatch/handler-context.js';
import { BufferOverflowError, boundedBuffer, type Consumer } from '../operators/boundedBuffer.js';
import { HeartbeatTimeoutError, heartbeat } from '../operators/heartbeat.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode } from '../protocol/protocol.js';
import type { ConnectionContext } from './context.js';
import { drained } from './draining.js';
import { effectRunner } from './effect-runner.js';
import { TokenExpiredError, untilExpired } from './expiry.js';
import { memberEvents } from './member-events.js';
import { PublishWindow, held } from './publish-window.js';
import { ConnectionRooms } from './rooms.js';
import { textFrames } from './text-frames.js';
import { OutboundTransforms, transformed } from './transform.js';
import { closeSocket, type CloseSocket, type Inbound, type Outbound } from './transport.js';

/** The key of the pod's own transform in `OutboundTransforms`, and its name in the log. */
const POD_TRANSFORM = 'transform';

/**
 * One connection, without its socket: turns frames of the client and orders of the pod into commands for the socket.
 *
 * It begins when subscribed to. It ends with a `CloseSocket`, or when unsubscribed from because the socket is gone; either way it
 * leaves its rooms and no timer remains. It never errors.
 *
 * @param socket tells whether the socket accepts data
 */
export function connection(inbound$: Observable<Inbound>, socket: Consumer, context: ConnectionContext): Observable<Outbound> {
  const { pod, id, identity, access } = context;
  return new Observable<Outbound>((subscriber) => {
    const publishWindow = new PublishWindow(pod.limits.publishWindow, pod.clock.now, pod.held);
    const rooms = new ConnectionRooms(context, publishWindow);
    const transforms = new OutboundTransforms(context);
    if (pod.transform) transforms.set(POD_TRANSFORM, pod.transform(new OwnContext(context, rooms, POD_TRANSFORM)));

    const received$ = pod.hub
      .member$(id, rooms.change$, identity)
      .pipe(memberEvents(context, publishWindow, rooms), transformed(context, transforms));

    const answers$ = inbound$.pipe(
      untilExpired(access, pod.runtime),
      heartbeat(pod.heartbeat, publishWindow),
      drained(pod.runtime, publishWindow),
      textFrames(() =>
        pipe(
          held(publishWindow),
          checked(context, rooms),
          dispatched(context, rooms),
          effectRunner(context, { publishWindow, rooms, transforms }),
        ),
      ),
    );

    // Like `merge(received$, answers$)`, without its extra subscribers: neither completes. Rooms first, since `change$` needs a member.
    received$.subscribe(subscriber);
    answers$.subscribe(subscriber);
  }).pipe(boundedBuffer(socket, pod.sendBuffer), untilClosed(context));
}

/** Completes after a `CloseSocket`, and turns an error into one. */
function untilClosed(context: ConnectionContext): MonoTypeOperatorFunction<Outbound> {
  return (outbound$) => new Observable((subscriber) => outbound$.subscribe(new UntilClosedSubscriber(subscriber, context)));
}

class UntilClosedSubscriber extends OperatorSubscriber<Outbound, Outbound> {
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
    this.take(closeFor(error, this.#context));
  }
}

function closeFor(error: unknown, { pod, id }: ConnectionContext): CloseSocket {
  if (error instanceof BufferOverflowError) return closeSocket(CloseCode.slowConsumer, 'too slow: its send buffer was full');
  if (error instanceof HeartbeatTimeoutError) return closeSocket(CloseCode.pongTimeout, 'no sign of life', true);
  if (error instanceof TokenExpiredError) return closeSocket(CloseCode.tokenExpired, error.message);
  pod.log.error({ err: error, connection: id }, 'connection failed');
  return closeSocket(CloseCode.handlerBug, 'internal error');
}

import {
  Observable,
  concat,
  exhaustMap,
  filter,
  forkJoin,
  map,
  of,
  timer,
  type MonoTypeOperatorFunction,
  type OperatorFunction,
  type Subscriber,
} from 'rxjs';
import type { Access } from './authorize.js';
import { conversation } from './conversation.js';
import { withoutOldest, type Batch } from './frame.js';
import type { MemberEvent } from './member.js';
import { Intake } from './intake.js';
import { BufferOverflowError, boundedBuffer, type DropOldest } from './operators/boundedBuffer.js';
import { HeartbeatTimeoutError, heartbeat } from './operators/heartbeat.js';
import { routeBy } from './operators/routeBy.js';
import { Stage } from './operators/stage.js';
import type { ConnectionContext, Pod } from './pod.js';
import { CloseCode, GLOBAL_ROOM } from './protocol.js';
import { gapBatch, systemBatch } from './server-message.js';
import { PAUSE, PING, shut, type Alive, type Drain, type Inbound, type Outbound, type Shut, type Text } from './transport.js';

/**
 * A connection as an actor: from what its client and its pod tell it to what its socket shall do, with no socket in it.
 *
 * It begins when subscribed to and ends with a `shut`, or when unsubscribed from because the socket is gone; either way its rooms
 * are left and no timer remains. It never errors.
 *
 * @param writable$ whether the socket takes more; taken to be true until it says otherwise
 */
export function connection(
  inbound$: Observable<Inbound>,
  writable$: Observable<boolean>,
  context: ConnectionContext,
): Observable<Outbound> {
  return new Observable<Outbound>((subscriber) => {
    const { pod, id, rooms } = context;
    const intake = new Intake(pod.limits.publishWindow);
    const entry$ = of({ kind: 'join', rooms: [GLOBAL_ROOM, ...rooms] } as const);
    const heard$ = pod.hub.member$(id, entry$).pipe(welcomed(context, intake));
    const said$ = inbound$.pipe(kept(pod, intake), handled(context, intake));
    // One subscriber for both, where `merge` would make several: neither completes.
    heard$.subscribe(subscriber);
    said$.subscribe(subscriber);
    if (context.access) expiry$(context.access, pod).subscribe(subscriber);
  }).pipe(buffered(context.pod, writable$), untilShut(context));
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

/** The token's time is over. */
class TokenExpiredError extends Error {}

/**
 * Errors at the first tick at which the token has expired. It goes by the clock on the wall, as the token does, and sleeps through
 * no part of it: a timer for a token of 30 days would fire at once.
 */
function expiry$({ expiresAtMs }: Access, { pulse, world }: Pod): Observable<never> {
  return pulse.tick$.pipe(
    filter(() => world.scheduler.now() >= expiresAtMs),
    map(() => {
      throw new TokenExpiredError('the token is expired');
    }),
  );
}

/** What is left to handle once a frame has been taken as a sign of life. */
type Mail = Exclude<Inbound, Alive>;

/** Alive, or ended. */
function kept({ limits, world, pulse }: Pod, { paused$ }: Intake): OperatorFunction<Inbound, Mail | typeof PING> {
  const { pingIntervalMs, pongTimeoutMs } = limits;
  return heartbeat({
    tick$: pulse.tick$,
    now: pulse.now,
    firstPingMs: world.random() * pingIntervalMs,
    pingIntervalMs,
    pongTimeoutMs,
    paused$,
    ping: PING,
    isSignOfLife: (inbound): inbound is Alive => inbound.kind === 'alive',
  });
}

function handled(context: ConnectionContext, intake: Intake): OperatorFunction<Mail | typeof PING, Outbound> {
  return routeBy<Mail['kind'], Mail | typeof PING, Outbound, typeof PING>({
    passes: (mail) => mail.kind === 'ping',
    key: ({ kind }) => kind,
    route: (kind) => {
      switch (kind) {
        case 'text':
          return (mail$) =>
            mail$.pipe(
              filter(isText),
              map(({ text }) => text),
              conversation(context, intake),
            );
        case 'drain':
          return (mail$) =>
            mail$.pipe(
              filter(isDrain),
              exhaustMap((order) => drained$(order, context, intake)),
            );
        case 'binary':
          return map(() => shut(CloseCode.unsupportedData, 'binary frames are not taken'));
      }
    },
  });
}

/** The pod goes away: say so, read no more, let unconfirmed publishes settle, close in time. */
function drained$({ closeInMs, reconnectInMs }: Drain, { pod }: ConnectionContext, intake: Intake): Observable<Outbound> {
  const goodbye = intake.welcomed ? [systemBatch('shutdown', { reconnectInMs }, pod.world)] : [];
  const pause = intake.paused$.value ? [] : [PAUSE];
  intake.drain();
  const due$ = forkJoin([timer(closeInMs, pod.world.scheduler), intake.settled$]);
  return concat(goodbye, pause, due$.pipe(map(() => shut(CloseCode.goingAway, 'the pod goes away'))));
}

function buffered({ limits, world, metrics }: Pod, writable$: Observable<boolean>): OperatorFunction<Outbound, Outbound> {
  const dropOldest: DropOldest<Outbound> = {
    mayDrop: (item) => item.kind === 'batch' && item.publishedAtMs !== undefined,
    withoutOldest: (item) => withoutOldest(item as Batch),
    gap: (dropped) => gapBatch('slow_consumer', (dropped as Batch).publishedAtMs ?? world.scheduler.now(), world),
  };
  return boundedBuffer<Outbound>({
    writable$,
    maxMessages: limits.sendBufferMessages,
    maxBytes: limits.sendBufferBytes,
    weigh: (item) => (item.kind === 'batch' ? item : item.kind === 'shut' ? NO_WEIGHT : undefined),
    dropOldest: limits.slowConsumerPolicy === 'drop-oldest' ? dropOldest : undefined,
    highWater: (messages) => {
      metrics.sendBufferHighWater(messages);
    },
  });
}

/** A close waits its turn behind what was said before, and takes no room there. */
const NO_WEIGHT = { messages: 0, bytes: 0 };

function ending(error: unknown, { pod, id }: ConnectionContext): Shut {
  if (error instanceof BufferOverflowError) return shut(CloseCode.slowConsumer, 'too slow: its send buffer was full');
  if (error instanceof HeartbeatTimeoutError) return shut(CloseCode.pongTimeout, 'no sign of life', true);
  if (error instanceof TokenExpiredError) return shut(CloseCode.tokenExpired, error.message);
  pod.log.error({ err: error, connection: id }, 'connection failed');
  return shut(CloseCode.handlerBug, 'internal error');
}

function isText(mail: Mail): mail is Text {
  return mail.kind === 'text';
}

function isDrain(mail: Mail): mail is Drain {
  return mail.kind === 'drain';
}

import { Observable, pipe, type OperatorFunction, type Subscriber } from 'rxjs';
import type { Cause, Effect, Reply } from '../handlers/effect.js';
import { dispatched } from '../dispatch/dispatch.js';
import { failedMessage } from '../dispatch/isolation.js';
import { heldBytesOf } from './held-bytes.js';
import type { PublishWindow } from './publish-window.js';
import { checkMessage, type Accepted, type CheckOptions } from '../dispatch/check.js';
import type { ConnectionRooms } from './rooms.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import { gate } from '../operators/gate.js';
import { OperatorSubscriber, listen } from '../operators/operator-subscriber.js';
import { Publisher } from './publisher.js';
import type { ConnectionContext } from './context.js';
import { CloseCode, MAX_BAD_MESSAGES, atMost } from '../protocol/protocol.js';
import { serverBatch } from '../hub/server-message.js';
import { PAUSE, RESUME, closeSocket, type Outbound } from './transport.js';

/**
 * What one read brought beyond the window waits at the gate. A read is 64 KiB and the smallest frame of a client 6 bytes, so no
 * socket brings more than 11,000 at once; this is a bound on our own mistakes.
 */
const MAX_HELD = 65_536;

/**
 * An effect may lead to the next within the call that carries it out, as a `join` does that changes the rooms which a handler
 * watches: as often as there are rooms, and well below what ends the stack.
 */
const MAX_DEPTH_OF_EFFECTS = 128;

/** RFC 6455 section 5.5.1. */
const MAX_CLOSE_REASON_BYTES = 123;

/** A message that did not get past its check. */
interface BadMessage extends Rejection {
  /** Which it is of the bad messages in a row, from 1. */
  readonly nth: number;
}

export type Outcome = Effect | BadMessage;

/**
 * From what a client says to what that does: held until the connection is welcome and its publish window has room, judged,
 * handled by type, and the effects carried out. In order throughout; nothing more is handled once a message closes the connection.
 */
export function conversation(
  context: ConnectionContext,
  intake: PublishWindow,
  membership: ConnectionRooms,
): OperatorFunction<string, Outbound> {
  return pipe(
    held(intake),
    judged(context, membership),
    dispatched(context, membership),
    carriedOut(context, intake, membership),
  );
}

function held(intake: PublishWindow) {
  const holding = {
    next: (bytes: number) => {
      intake.hold(bytes);
    },
  };
  return gate<string>({ open$: intake.open$, capacity: MAX_HELD, weigh: heldBytesOf, held: holding });
}

/** Each text by its checks: what passes has a handler, what does not is counted. */
export function judged(
  { pod, identity }: ConnectionContext,
  membership: Pick<ConnectionRooms, 'rooms'>,
): OperatorFunction<string, Accepted | BadMessage> {
  const { handlers, limits, metrics } = pod;
  const options: CheckOptions = {
    handlers,
    maxMessageBytes: limits.maxMessageBytes,
    identity,
    get rooms() {
      return membership.rooms;
    },
  };
  return (text$) =>
    new Observable((subscriber) =>
      text$.subscribe(
        new Judging(subscriber, options, (type) => {
          metrics.received(type);
        }),
      ),
    );
}

class Judging extends OperatorSubscriber<string, Accepted | BadMessage> {
  readonly #options: CheckOptions;
  readonly #count: (type: string) => void;
  #badInARow = 0;

  constructor(output: Subscriber<Accepted | BadMessage>, options: CheckOptions, count: (type: string) => void) {
    super(output);
    this.#options = options;
    this.#count = count;
  }

  protected override take(text: string): void {
    const verdict = checkMessage(text, this.#options);
    if (verdict.kind === 'accepted') {
      this.#count(verdict.message.type);
      this.#badInARow = 0;
      this.output.next(verdict);
    } else {
      this.#count('invalid');
      this.#badInARow += 1;
      this.output.next({ ...verdict, nth: this.#badInARow });
    }
  }
}

function carriedOut(
  context: ConnectionContext,
  intake: PublishWindow,
  membership: ConnectionRooms,
): OperatorFunction<Outcome, Outbound> {
  return (outcome$) =>
    new Observable((subscriber) => outcome$.subscribe(new CarryingOut(subscriber, context, intake, membership)));
}

class CarryingOut extends OperatorSubscriber<Outcome, Outbound> {
  readonly #context: ConnectionContext;
  readonly #intake: PublishWindow;
  readonly #membership: ConnectionRooms;
  readonly #outbox: Publisher;
  #paused = false;
  /** So many effects are being carried out, each as a consequence of the one before. */
  #depth = 0;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: PublishWindow, membership: ConnectionRooms) {
    super(output);
    this.#context = context;
    this.#intake = intake;
    this.#membership = membership;
    this.#outbox = new Publisher(output, context, intake, membership);
    listen(this, output, intake.paused$, this.#pause);
  }

  /** What comes of carrying one out may be the next. */
  protected override take(outcome: Outcome): void {
    this.#depth += 1;
    try {
      if (this.#depth > MAX_DEPTH_OF_EFFECTS) throw new Error('effects that lead to effects without end');
      this.#carryOut(outcome);
    } catch (error) {
      this.#failed(outcome, error);
    } finally {
      this.#depth -= 1;
    }
  }

  #carryOut(outcome: Outcome): void {
    switch (outcome.kind) {
      case 'publish':
        this.#outbox.publish(outcome);
        break;
      case 'reply':
        this.#reply(outcome);
        break;
      case 'rejection':
        this.#complain(outcome);
        break;
      case 'join':
        this.#refuse(this.#membership.join(outcome.rooms, outcome.ref), outcome);
        break;
      case 'leave':
        this.#refuse(this.#membership.leave(outcome.rooms), outcome);
        break;
      case 'transform':
        this.#membership.transform(outcome.by ?? 'transform', outcome.operator);
        break;
      case 'close':
        this.#shut(outcome.code, outcome.reason);
    }
  }

  /** JSON cannot write what it says, or else: its handler has failed, as it does when it throws. */
  #failed(outcome: Outcome, error: unknown): void {
    const { pod, id } = this.#context;
    const by = ('by' in outcome ? outcome.by : undefined) ?? outcome.kind;
    pod.failures.report(by, error, id);
    this.#outbox.complain(failedMessage(by, 'ref' in outcome ? outcome.ref : undefined));
  }

  #reply(message: Reply): void {
    const { runtime, maxPublicationBytes } = this.#context.pod;
    const batch = serverBatch(message, runtime);
    if (batch.bytes <= maxPublicationBytes) this.output.next(batch);
    else this.#complain(reject('unavailable', 'the answer is too large', message.ref));
  }

  #complain(rejection: Rejection | BadMessage): void {
    this.#outbox.complain(rejection);
    if ('nth' in rejection && rejection.nth >= MAX_BAD_MESSAGES) {
      this.#shut(CloseCode.badMessages, `${MAX_BAD_MESSAGES} bad messages in a row`);
    }
  }

  #refuse(rejection: Rejection | undefined, { ref }: Cause): void {
    if (rejection) this.#complain({ ...rejection, ref });
  }

  /** The last that is handled. */
  #shut(code: number, reason: string): void {
    this.output.next(closeSocket(code, atMost(MAX_CLOSE_REASON_BYTES, reason)));
    // What is held will not be handled: it is no reason to leave the socket unread and to stop the clock.
    this.#intake.hold(0);
    this.unsubscribe();
  }

  /** A drain pauses by itself, and for good. */
  #pause(paused: boolean): void {
    if (this.closed || paused === this.#paused || this.#intake.draining) return;
    this.#paused = paused;
    this.output.next(paused ? PAUSE : RESUME);
  }
}

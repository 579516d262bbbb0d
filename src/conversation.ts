import { Observable, map, pipe, type OperatorFunction, type Subscriber } from 'rxjs';
import { validate } from 'uuid';
import type { Access } from './authorize.js';
import { PublishError } from './broker.js';
import { destination } from './destination.js';
import type { Effect, HandlerContext, Publish } from './handler.js';
import type { Intake } from './intake.js';
import { judge, type Accepted, type JudgeOptions } from './judge.js';
import { reject, usableRef, type Rejection } from './message.js';
import { gate } from './operators/gate.js';
import { routeBy } from './operators/routeBy.js';
import { Sink, Stage, listen } from './operators/stage.js';
import type { ConnectionContext } from './pod.js';
import { CloseCode, GLOBAL_ROOM, MAX_BAD_MESSAGES, timestamp, writeEnvelope } from './protocol.js';
import { errorBatch, serverBatch } from './server-message.js';
import { PAUSE, RESUME, shut, type Outbound } from './transport.js';

/**
 * What one read brought beyond the window waits at the gate. A read is 64 KiB and the smallest frame of a client 6 bytes, so no
 * socket brings more than 11,000 at once; this is a bound on our own mistakes.
 */
const MAX_HELD = 65_536;

/** A message that did not get past its check. */
interface BadMessage extends Rejection {
  /** Which it is of the bad messages in a row, from 1. */
  readonly nth: number;
}

type Outcome = Effect | Rejection | BadMessage;

/**
 * From what a client says to what that does: held until the connection is welcome and its publish window has room, judged,
 * handled by type, and the effects carried out. In order throughout; nothing more is handled once a message closes the connection.
 */
export function conversation(context: ConnectionContext, intake: Intake): OperatorFunction<string, Outbound> {
  return pipe(held(intake), judged(context), handled(context), carriedOut(context, intake));
}

function held(intake: Intake) {
  const holding = {
    next: (messages: number) => {
      intake.hold(messages);
    },
  };
  return gate<string>({ open$: intake.open$, capacity: MAX_HELD, held: holding });
}

function judged({ pod, identity, rooms }: ConnectionContext): OperatorFunction<string, Accepted | BadMessage> {
  const { handlers, limits, metrics } = pod;
  const options = { handlers, maxMessageBytes: limits.maxMessageBytes, identity, rooms };
  return (text$) =>
    new Observable((subscriber) =>
      text$.subscribe(
        new Judging(subscriber, options, (type) => {
          metrics.received(type);
        }),
      ),
    );
}

class Judging extends Stage<string, Accepted | BadMessage> {
  readonly #options: JudgeOptions;
  readonly #count: (type: string) => void;
  #badInARow = 0;

  constructor(output: Subscriber<Accepted | BadMessage>, options: JudgeOptions, count: (type: string) => void) {
    super(output);
    this.#options = options;
    this.#count = count;
  }

  protected override take(text: string): void {
    const verdict = judge(text, this.#options);
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

/** Each message through its type's operator; a handler that fails costs the message that it failed on, and nothing else. */
function handled({ pod, id, identity }: ConnectionContext): OperatorFunction<Accepted | BadMessage, Outcome> {
  const { scheduler, newId } = pod.world;
  const context: HandlerContext = { connectionId: id, identity, scheduler, newId, log: pod.log };
  return routeBy({
    passes: (verdict): verdict is BadMessage => verdict.kind === 'rejection',
    key: ({ handler }) => handler,
    route: (handler) => (accepted$) => handler.operate(accepted$.pipe(map(({ message }) => message)), context),
    recover: (error, { type }, accepted): Outcome => {
      pod.log.error({ err: error, type, connection: id }, 'handler failed');
      return reject('unavailable', `the handler of ${type} failed`, usableRef(accepted?.message.id));
    },
  });
}

function carriedOut(context: ConnectionContext, intake: Intake): OperatorFunction<Outcome, Outbound> {
  return (outcome$) => new Observable((subscriber) => outcome$.subscribe(new CarryingOut(subscriber, context, intake)));
}

class CarryingOut extends Stage<Outcome, Outbound> {
  readonly #context: ConnectionContext;
  readonly #intake: Intake;
  #paused = false;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: Intake) {
    super(output);
    this.#context = context;
    this.#intake = intake;
    listen(this, output, intake.paused$, this.#pause);
  }

  protected override take(outcome: Outcome): void {
    switch (outcome.kind) {
      case 'rejection':
        this.#complain(outcome);
        break;
      case 'reply':
        this.output.next(serverBatch(outcome, this.#context.pod.world));
        break;
      case 'publish':
        this.#publish(outcome);
        break;
      case 'close':
        this.#shut(outcome.code, outcome.reason);
    }
  }

  #complain(rejection: Rejection | BadMessage): void {
    complain(rejection, this.#context, this.output);
    if ('nth' in rejection && rejection.nth >= MAX_BAD_MESSAGES) {
      this.#shut(CloseCode.badMessages, `${MAX_BAD_MESSAGES} bad messages in a row`);
    }
  }

  /** The last that is handled. */
  #shut(code: CloseCode, reason: string): void {
    this.output.next(shut(code, reason));
    this.unsubscribe();
  }

  #publish({ message }: Publish): void {
    const { pod, identity, rooms, access } = this.#context;
    const { scheduler, newId } = pod.world;
    const room = destination(message.room, rooms);
    const ref = usableRef(message.id);
    if (typeof room !== 'string') {
      this.#complain({ ...room, ref });
      return;
    }
    if (access && !mayPublish(access, room)) {
      this.#complain(reject('forbidden', 'the token does not grant this', ref));
      return;
    }
    const envelope = writeEnvelope({
      id: isUuid(message.id) ? message.id : newId(),
      type: message.type,
      room: room === GLOBAL_ROOM ? undefined : room,
      from: identity,
      // An envelope has every member, whatever the handler left out.
      data: message.data ?? {},
      timestamp: timestamp(scheduler.now()),
    });
    this.#intake.published();
    pod.broker.publish(room, envelope).subscribe(new Publishing(this.output, this.#context, this.#intake, ref));
  }

  /** A drain pauses by itself, and for good. */
  #pause(paused: boolean): void {
    if (this.closed || paused === this.#paused || this.#intake.draining) return;
    this.#paused = paused;
    this.output.next(paused ? PAUSE : RESUME);
  }
}

/**
 * A publish under way. Nothing comes of it but an error: what is published returns from the broker, as it does to everybody else.
 * It was said, so it outlives its connection.
 */
class Publishing extends Sink<never> {
  readonly #output: Subscriber<Outbound>;
  readonly #context: ConnectionContext;
  readonly #intake: Intake;
  readonly #ref: string | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: Intake, ref: string | undefined) {
    super();
    this.#output = output;
    this.#context = context;
    this.#intake = intake;
    this.#ref = ref;
  }

  protected override _complete(): void {
    this.#intake.confirmed();
    this.unsubscribe();
  }

  protected override _error(error: unknown): void {
    // A broker promises no other error; where one breaks its promise, somebody has to know.
    if (!(error instanceof PublishError)) this.#context.pod.log.error({ err: error }, 'broker failed');
    complain(asRejection(error, this.#ref), this.#context, this.#output);
    this.#intake.confirmed();
    this.unsubscribe();
  }
}

/** To the offender alone, and only while it is there. */
function complain(rejection: Rejection, { pod }: ConnectionContext, output: Subscriber<Outbound>): void {
  if (output.closed) return;
  pod.metrics.errorSent(rejection.code);
  output.next(errorBatch(rejection, pod.world));
}

function mayPublish({ grant }: Access, room: string): boolean {
  return room === GLOBAL_ROOM ? grant.mayPublishGlobally() : grant.mayPublish(room);
}

function isUuid(id: string | undefined): id is string {
  return id !== undefined && validate(id);
}

function asRejection(error: unknown, ref: string | undefined): Rejection {
  if (error instanceof PublishError) return reject(error.code, error.message, ref);
  return reject('unconfirmed', 'the broker failed', ref);
}

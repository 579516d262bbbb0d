import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import { failedMessage, type Outcome } from '../dispatch/dispatch.js';
import type { Join, Leave, Reply } from '../handlers/effect.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import { errorBatch, serverBatch, systemBatch } from '../hub/server-message.js';
import { OperatorSubscriber, listen } from '../operators/operator-subscriber.js';
import { CloseCode, MAX_BAD_MESSAGES, atMost } from '../protocol/protocol.js';
import type { ConnectionContext } from './context.js';
import type { PublishWindow } from './publish-window.js';
import { Publisher } from './publisher.js';
import type { ConnectionRooms } from './rooms.js';
import type { OutboundTransforms } from './transform.js';
import { PAUSE, RESUME, closeSocket, type Outbound } from './transport.js';

/**
 * Running an effect may cause the next one within the same call: a `join` changes the rooms that a handler watches. A chain may be
 * as long as there are rooms, which is well below what ends the stack.
 */
const MAX_DEPTH_OF_EFFECTS = 128;

/** RFC 6455 section 5.5.1. */
const MAX_CLOSE_REASON_BYTES = 123;

/** What effects act on. */
export interface EffectTargets {
  readonly publishWindow: PublishWindow;
  readonly rooms: ConnectionRooms;
  readonly transforms: OutboundTransforms;
}

/**
 * Does what the handlers want, in order. Emits replies, errors and the close, after which it runs nothing more; and `PAUSE` and
 * `RESUME` as the publish window closes and opens.
 */
export function effectRunner(context: ConnectionContext, targets: EffectTargets): OperatorFunction<Outcome, Outbound> {
  return (outcome$) => new Observable((subscriber) => outcome$.subscribe(new EffectRunner(subscriber, context, targets)));
}

export class EffectRunner extends OperatorSubscriber<Outcome, Outbound> {
  readonly #context: ConnectionContext;
  readonly #targets: EffectTargets;
  readonly #publisher: Publisher;
  #paused = false;
  /** Effects that are being run, each caused by the one before. */
  #depth = 0;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, targets: EffectTargets) {
    super(output);
    this.#context = context;
    this.#targets = targets;
    this.#publisher = new Publisher(context, targets.publishWindow, targets.rooms, this);
    listen(this, output, targets.publishWindow.paused$, this.#pause);
  }

  /** Sends an `error` to the client. Publishes that fail after the connection has ended are reported here too, and ignored. */
  sendError(rejection: Rejection): void {
    if (this.output.closed) return;
    const { metrics, runtime } = this.#context.pod;
    metrics.errorSent(rejection.code);
    this.output.next(errorBatch(rejection, runtime));
  }

  protected override take(outcome: Outcome): void {
    this.#depth += 1;
    try {
      if (this.#depth > MAX_DEPTH_OF_EFFECTS) throw new Error('effects that lead to effects without end');
      this.#run(outcome);
    } catch (error) {
      this.#failed(outcome, error);
    } finally {
      this.#depth -= 1;
    }
  }

  #run(outcome: Outcome): void {
    switch (outcome.kind) {
      case 'publish':
        this.#publisher.publish(outcome);
        break;
      case 'reply':
        this.#reply(outcome);
        break;
      case 'rejection':
        this.sendError(outcome);
        if ('badInARow' in outcome && outcome.badInARow >= MAX_BAD_MESSAGES) {
          this.#close(CloseCode.badMessages, `${MAX_BAD_MESSAGES} bad messages in a row`);
        }
        break;
      case 'join':
        this.#join(outcome);
        break;
      case 'leave':
        this.#leave(outcome);
        break;
      case 'transform':
        this.#targets.transforms.set(outcome.by ?? outcome.kind, outcome.operator);
        break;
      case 'close':
        this.#close(outcome.code, outcome.reason);
    }
  }

  /** For example data that JSON cannot write. It counts as a failure of the handler. */
  #failed(outcome: Outcome, error: unknown): void {
    const { pod, id } = this.#context;
    const by = ('by' in outcome ? outcome.by : undefined) ?? outcome.kind;
    pod.failures.report(by, error, id);
    this.sendError(failedMessage(by, 'ref' in outcome ? outcome.ref : undefined));
  }

  #reply(message: Reply): void {
    const { runtime, maxPublicationBytes } = this.#context.pod;
    const batch = serverBatch(message, runtime);
    if (batch.bytes <= maxPublicationBytes) this.output.next(batch);
    else this.sendError(reject('unavailable', 'the answer is too large', message.ref));
  }

  #join({ rooms: names, ref }: Join): void {
    const { rooms } = this.#targets;
    const wanted = [...new Set(names)];
    const refusal = rooms.refusalToJoin(wanted);
    if (refusal) {
      this.sendError({ ...refusal, ref });
      return;
    }
    const { runtime } = this.#context.pod;
    for (const room of wanted) if (rooms.isIn(room)) this.output.next(systemBatch('joined', { room }, runtime));
    rooms.join(wanted, { ref });
  }

  #leave({ rooms: names, ref }: Leave): void {
    const refusal = this.#targets.rooms.leave([...new Set(names)]);
    if (refusal) this.sendError({ ...refusal, ref });
  }

  #close(code: number, reason: string): void {
    this.output.next(closeSocket(code, atMost(MAX_CLOSE_REASON_BYTES, reason)));
    // The held messages will not be handled, so they must neither pause the socket nor stop the heartbeat's clock.
    this.#targets.publishWindow.hold(0);
    this.unsubscribe();
  }

  /** A drain pauses the socket by itself, for good. */
  #pause(paused: boolean): void {
    if (this.closed || paused === this.#paused || this.#targets.publishWindow.draining) return;
    this.#paused = paused;
    this.output.next(paused ? PAUSE : RESUME);
  }
}

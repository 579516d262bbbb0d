import {
  catchError,
  filter,
  finalize,
  map,
  merge,
  mergeMap,
  scan,
  skip,
  takeWhile,
  type Observable,
  type ObservableInput,
  type OperatorFunction,
} from 'rxjs';
import { validate } from 'uuid';
import type { Access } from './authorize.js';
import { PublishError } from './broker.js';
import { destination } from './destination.js';
import type { Effect, HandlerContext, Publish } from './handler.js';
import type { Intake } from './intake.js';
import { judge, type Accepted } from './judge.js';
import { reject, usableRef, type Rejection } from './message.js';
import { gate } from './operators/gate.js';
import { routeBy } from './operators/routeBy.js';
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
 * handled by type, and the effects carried out. In order throughout; complete when a message closes the connection.
 */
export function conversation(context: ConnectionContext, intake: Intake): OperatorFunction<string, Outbound> {
  return (text$) => {
    const said$ = text$.pipe(
      gate({
        open$: intake.open$,
        capacity: MAX_HELD,
        held: {
          next: (messages) => {
            intake.hold(messages);
          },
        },
      }),
      judged(context),
      handled(context),
      mergeMap((outcome) => carryOut(outcome, context, intake)),
    );
    return merge(said$, pauses$(intake)).pipe(takeWhile(({ kind }) => kind !== 'shut', true));
  };
}

/** A drain pauses by itself, and for good. */
function pauses$(intake: Intake): Observable<Outbound> {
  return intake.paused$.pipe(
    skip(1),
    filter(() => !intake.draining),
    map((paused) => (paused ? PAUSE : RESUME)),
  );
}

function judged({ pod, identity, rooms }: ConnectionContext): OperatorFunction<string, Accepted | BadMessage> {
  const { handlers, limits, metrics } = pod;
  const options = { handlers, maxMessageBytes: limits.maxMessageBytes, identity, rooms };
  const verdict = (before: Accepted | BadMessage | undefined, text: string): Accepted | BadMessage => {
    const now = judge(text, options);
    metrics.received(now.kind === 'accepted' ? now.message.type : 'invalid');
    if (now.kind === 'accepted') return now;
    return { ...now, nth: before?.kind === 'rejection' ? before.nth + 1 : 1 };
  };
  return scan<string, Accepted | BadMessage, undefined>(verdict, undefined);
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

function carryOut(outcome: Outcome, context: ConnectionContext, intake: Intake): ObservableInput<Outbound> {
  const { world } = context.pod;
  switch (outcome.kind) {
    case 'rejection':
      return complain(outcome, context);
    case 'reply':
      return [serverBatch(outcome, world)];
    case 'publish':
      return publish(outcome, context, intake);
    case 'close':
      return [shut(outcome.code, outcome.reason)];
  }
}

function complain(rejection: Rejection | BadMessage, { pod }: ConnectionContext): readonly Outbound[] {
  pod.metrics.errorSent(rejection.code);
  const error = errorBatch(rejection, pod.world);
  if (!('nth' in rejection) || rejection.nth < MAX_BAD_MESSAGES) return [error];
  return [error, shut(CloseCode.badMessages, `${MAX_BAD_MESSAGES} bad messages in a row`)];
}

/** Nothing comes out but an error: what is published returns from the broker, as it does to everybody else. */
function publish({ message }: Publish, context: ConnectionContext, intake: Intake): ObservableInput<Outbound> {
  const { pod, identity, rooms, access } = context;
  const { scheduler, newId } = pod.world;
  const room = destination(message.room, rooms);
  const ref = usableRef(message.id);
  if (typeof room !== 'string') return complain({ ...room, ref }, context);
  if (access && !mayPublish(access, room)) return complain(reject('forbidden', 'the token does not grant this', ref), context);
  const envelope = writeEnvelope({
    id: isUuid(message.id) ? message.id : newId(),
    type: message.type,
    ...(room !== GLOBAL_ROOM && { room }),
    from: identity,
    // An envelope has every member, whatever the handler left out.
    data: message.data ?? {},
    timestamp: timestamp(scheduler.now()),
  });
  intake.published();
  return pod.broker.publish(room, envelope).pipe(
    catchError((error: unknown) => {
      // A broker promises no other error; where one breaks its promise, somebody has to know.
      if (!(error instanceof PublishError)) pod.log.error({ err: error }, 'broker failed');
      return complain(asRejection(error, ref), context);
    }),
    finalize(() => {
      intake.confirmed();
    }),
  );
}

function mayPublish({ grant }: Access, room: string): boolean {
  return room === GLOBAL_ROOM ? grant.mayPublishGlobally() : grant.mayPublish(room);
}

function isUuid(id: string | undefined): id is string {
  return validate(id);
}

function asRejection(error: unknown, ref: string | undefined): Rejection {
  if (error instanceof PublishError) return reject(error.code, error.message, ref);
  return reject('unconfirmed', 'the broker failed', ref);
}

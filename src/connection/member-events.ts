import { Observable, type OperatorFunction, type Subscriber } from 'rxjs';
import type { MemberEvent } from '../hub/room.js';
import { errorBatch, systemBatch } from '../hub/server-message.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode } from '../protocol/protocol.js';
import type { ConnectionContext } from './context.js';
import type { PublishWindow } from './publish-window.js';
import type { ConnectionRooms } from './rooms.js';
import { closeSocket, type Outbound } from './transport.js';

/**
 * From the hub's events to messages to the client: published messages pass; a change of rooms is noted in `rooms` and sent as a
 * `system` message. `welcome` comes first, when the rooms that the connection came for are confirmed, and opens the publish window.
 */
export function memberEvents(
  context: ConnectionContext,
  publishWindow: PublishWindow,
  rooms: ConnectionRooms,
): OperatorFunction<MemberEvent, Outbound> {
  return (event$) =>
    new Observable((subscriber) => event$.subscribe(new MemberEventsSubscriber(subscriber, context, publishWindow, rooms)));
}

export class MemberEventsSubscriber extends OperatorSubscriber<MemberEvent, Outbound> {
  readonly #context: ConnectionContext;
  readonly #publishWindow: PublishWindow;
  readonly #rooms: ConnectionRooms;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, publishWindow: PublishWindow, rooms: ConnectionRooms) {
    super(output);
    this.#context = context;
    this.#publishWindow = publishWindow;
    this.#rooms = rooms;
  }

  protected override take(event: MemberEvent): void {
    switch (event.kind) {
      case 'batch':
        this.output.next(event);
        break;
      case 'joined':
        if (this.#publishWindow.welcomed) this.#changed(event.kind, event.rooms);
        else this.#welcome();
        break;
      case 'left':
        this.#changed(event.kind, event.rooms);
        break;
      case 'refused':
        this.#refused(event.rooms);
    }
  }

  #welcome(): void {
    const { pod, id, rooms } = this.#context;
    const { pingIntervalMs, maxMessageBytes } = pod.limits;
    this.output.next(systemBatch('welcome', { clientId: id, rooms, pingIntervalMs, maxMessageBytes }, pod.runtime));
    this.#publishWindow.welcome();
  }

  /** The client is told first: a handler that watches the rooms may join or leave at once, which is sent after that. */
  #changed(change: 'joined' | 'left', rooms: readonly string[]): void {
    for (const room of rooms) this.#rooms.forgetJoining(room);
    for (const room of rooms) this.output.next(systemBatch(change, { room }, this.#context.pod.runtime));
    this.#rooms[change](rooms);
  }

  /** A refused join gets an error. A connection that came for the room, or is in it, is closed. */
  #refused(rooms: readonly string[]): void {
    const { metrics, runtime } = this.#context.pod;
    for (const room of rooms) {
      const pending = this.#rooms.forgetJoining(room);
      if (pending === undefined) {
        this.output.next(closeSocket(CloseCode.policyViolation, 'the broker refuses a room of this connection'));
        return;
      }
      metrics.errorSent('forbidden');
      this.output.next(errorBatch({ code: 'forbidden', reason: 'the broker refuses this room', ref: pending.ref }, runtime));
    }
  }
}

import { NEVER, Observable, Subject, concat, map, merge, switchMap, timer, type Subscriber } from 'rxjs';
import { conversation } from './carry-out.js';
import type { PublishWindow } from './publish-window.js';
import type { ConnectionRooms } from './rooms.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { ConnectionContext } from './context.js';
import { CloseCode } from '../protocol/protocol.js';
import { systemBatch } from '../hub/server-message.js';
import { PAUSE, closeSocket, type Drain, type Mail, type Outbound } from './transport.js';

/** A connection's mail, each piece to who handles its kind. */
export class Inbox extends OperatorSubscriber<Mail, Outbound> {
  readonly #context: ConnectionContext;
  readonly #intake: PublishWindow;
  readonly #membership: ConnectionRooms;
  /** Begun with the first message: who only listens need not pay for what it takes to talk. */
  #said$: Subject<string> | undefined;
  /** What comes behind a frame that ends the connection is not heard, however long its close has to wait. */
  #over = false;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, intake: PublishWindow, membership: ConnectionRooms) {
    super(output);
    this.#context = context;
    this.#intake = intake;
    this.#membership = membership;
  }

  protected override take(mail: Mail): void {
    switch (mail.kind) {
      case 'text':
        if (!this.#over) (this.#said$ ??= this.#converse()).next(mail.text);
        break;
      case 'ping':
        this.output.next(mail);
        break;
      case 'binary':
        this.#over = true;
        this.output.next(closeSocket(CloseCode.unsupportedData, 'binary frames are not taken'));
        break;
      case 'drain':
        if (!this.#intake.draining) drained$(mail, this.#context, this.#intake).subscribe(this.output);
    }
  }

  #converse(): Subject<string> {
    const said$ = new Subject<string>();
    said$.pipe(conversation(this.#context, this.#intake, this.#membership)).subscribe(this.output);
    return said$;
  }
}

/** The pod goes away: say so, read no more, let unconfirmed publishes settle, close in time. */
function drained$({ closeInMs, reconnectInMs }: Drain, { pod }: ConnectionContext, intake: PublishWindow): Observable<Outbound> {
  // Who is not welcome yet may become so: its `welcome` comes first.
  const goodbye$ = intake.welcomed$.pipe(map(() => systemBatch('shutdown', { reconnectInMs }, pod.runtime)));
  const pause = intake.isPaused ? [] : [PAUSE];
  intake.drain();
  // When its time has come, for what is handled until then may publish.
  const due$ = timer(closeInMs, pod.runtime.scheduler).pipe(switchMap(() => intake.settled$));
  // The end is for the close to bring: until that has gone out, the connection lives.
  return merge(goodbye$, concat(pause, due$.pipe(map(() => closeSocket(CloseCode.goingAway, 'the pod goes away'))), NEVER));
}

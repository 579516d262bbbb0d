import { NEVER, Observable, concat, map, merge, switchMap, timer, type OperatorFunction, type Subscriber } from 'rxjs';
import { systemBatch } from '../hub/server-message.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode } from '../protocol/protocol.js';
import type { Runtime } from '../runtime/runtime.js';
import type { PublishWindow } from './publish-window.js';
import { PAUSE, closeSocket, type Binary, type Drain, type Outbound, type Text } from './transport.js';

type Answerable = Text | Binary | Outbound;

/**
 * A drain sends `shutdown`, stops the reading, and closes the connection (1001) at its time, once the publishes under way have
 * settled. A second drain changes nothing.
 */
export function drained(runtime: Runtime, publishWindow: PublishWindow): OperatorFunction<Drain | Answerable, Answerable> {
  return (inbound$) =>
    new Observable((subscriber) => inbound$.subscribe(new DrainSubscriber(subscriber, runtime, publishWindow)));
}

class DrainSubscriber extends OperatorSubscriber<Drain | Answerable, Answerable> {
  readonly #runtime: Runtime;
  readonly #publishWindow: PublishWindow;

  constructor(output: Subscriber<Answerable>, runtime: Runtime, publishWindow: PublishWindow) {
    super(output);
    this.#runtime = runtime;
    this.#publishWindow = publishWindow;
  }

  protected override take(inbound: Drain | Answerable): void {
    if (inbound.kind !== 'drain') this.output.next(inbound);
    else if (!this.#publishWindow.draining) drain$(inbound, this.#runtime, this.#publishWindow).subscribe(this.output);
  }
}

function drain$({ closeInMs, reconnectInMs }: Drain, runtime: Runtime, publishWindow: PublishWindow): Observable<Outbound> {
  // A connection that still waits for its rooms gets its `welcome` first.
  const shutdown$ = publishWindow.welcomed$.pipe(map(() => systemBatch('shutdown', { reconnectInMs }, runtime)));
  const pause = publishWindow.isPaused ? [] : [PAUSE];
  publishWindow.drain();
  // `settled$` is asked when the time has come: what is handled until then may publish.
  const due$ = timer(closeInMs, runtime.scheduler).pipe(switchMap(() => publishWindow.settled$));
  // The close ends the connection when it has gone out, which may be later: nothing completes here.
  return merge(shutdown$, concat(pause, due$.pipe(map(() => closeSocket(CloseCode.goingAway, 'the pod goes away'))), NEVER));
}

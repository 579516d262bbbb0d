import { Observable, Subject, type OperatorFunction } from 'rxjs';
import type { Including } from './diagram/difference.js';
import { Legend } from './diagram/legend.js';
import { COMPLETE, ERROR } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/** The values of the letters in an operator's diagram. By default a letter is its own value. */
export interface OperatorLegend<T, R> {
  readonly source?: Readonly<Record<string, T>>;
  readonly output?: Readonly<Record<string, R | Including>>;
  /** The error that `#` stands for, in the source and in the output. */
  readonly error?: unknown;
}

/**
 * Tests an operator with aligned rows, in virtual time: its input, its output, and its subscription to the source.
 *
 * Rows: `source`, hot; `output`; `subs`, when the source is subscribed to (`^`) and no longer (`!`); `unsub`, whose `!` ends
 * the subscription to the output; and those of `hot` and `cold` streams. After the last row the test goes on until nothing is due.
 *
 * @example
 * testOperator(
 *   ({ runtime }) => debounceTime(3, runtime.scheduler),
 *   `
 *     source  -a-b------c-|
 *     output  ------b-----(c|)
 *     subs    ^-----------!
 *   `,
 * );
 *
 * @param operator a function that makes the operator of the kit
 * @throws MarbleError with the actual and expected diagrams if they differ; if a timer or a subscription is left behind; if a timer was
 *   started in real time
 */
export function testOperator<T, R>(
  operator: (kit: Kit) => OperatorFunction<T, R>,
  diagram: string,
  { source, output, error }: OperatorLegend<T, R> = {},
): void {
  virtualTest(testOperator, (strays) => {
    const test = new VirtualTest(strays);
    const source$ = new Subject<T>();
    const subs = new SubscriptionLog(() => test.nowMs);
    test.input('source', {
      legend: new Legend(source),
      marks: COMPLETE + ERROR,
      take: ({ mark, value }) => {
        if (mark === COMPLETE) source$.complete();
        else if (mark === ERROR) source$.error(error);
        else source$.next(value as T);
      },
    });
    test.subscriptions('subs', subs);
    const recording = test.output('output', new Legend(output), COMPLETE + ERROR, error);
    const running = new Observable<T>((subscriber) => source$.subscribe(subscriber))
      .pipe(subs.noted(), operator(test.kit))
      .subscribe({
        next: recording.value,
        error: (failure: unknown) => {
          recording.mark(ERROR, failure);
        },
        complete: () => {
          recording.mark(COMPLETE);
        },
      });
    test.input('unsub', {
      legend: new Legend({}),
      marks: '!',
      take: () => {
        running.unsubscribe();
        test.ended();
      },
    });
    test.play('the operator did something else', test.read(diagram, 'output'), () => {
      running.unsubscribe();
    });
  });
}

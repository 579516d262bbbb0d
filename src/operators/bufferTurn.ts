import { Observable, type OperatorFunction, type Subscription } from 'rxjs';

/**
 * Buffers the values of one turn of the event loop and emits them as one array when the turn ends.
 *
 * Unlike `buffer`, it subscribes to the notifier only while it holds values, and it never emits an empty array. When the source completes,
 * the buffered values are emitted first. The arrays are bounded by what one turn can bring.
 *
 * @param turnEnd$ cold; emits once when the current turn ends
 * @param isUrgent whether a value must not wait; it is emitted at once, behind the values buffered before it
 */
export function bufferTurn<T>(
  turnEnd$: Observable<unknown>,
  isUrgent: (value: T) => boolean = () => false,
): OperatorFunction<T, readonly T[]> {
  return (source) =>
    new Observable((subscriber) => {
      let buffered: T[] = [];
      let ending: Subscription | undefined;
      const flush = () => {
        const turn = buffered;
        buffered = [];
        if (turn.length > 0) subscriber.next(turn);
      };
      subscriber.add(() => ending?.unsubscribe());
      subscriber.add(
        source.subscribe({
          next: (value) => {
            buffered.push(value);
            if (isUrgent(value)) {
              ending?.unsubscribe();
              flush();
            } else if (buffered.length === 1) {
              ending = turnEnd$.subscribe(flush);
            }
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
          complete: () => {
            flush();
            subscriber.complete();
          },
        }),
      );
    });
}

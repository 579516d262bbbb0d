import { Observable, type OperatorFunction, type Subscription } from 'rxjs';

/**
 * Gathers what comes within one turn of the event loop and passes it on as one array when the turn ends.
 *
 * Unlike `buffer`, it asks for the end of a turn only when there is something to gather, and a source that completes takes
 * what was gathered with it before it does. The arrays are bounded by what one turn can bring.
 *
 * @param turnEnd$ cold; emits once when the present turn ends
 * @param isUrgent values that do not wait: they end the gathering, and what was gathered goes with them
 */
export function gatherTurn<T>(
  turnEnd$: Observable<unknown>,
  isUrgent: (value: T) => boolean = () => false,
): OperatorFunction<T, readonly T[]> {
  return (source) =>
    new Observable((subscriber) => {
      let gathered: T[] = [];
      let ending: Subscription | undefined;
      const flush = () => {
        const turn = gathered;
        gathered = [];
        if (turn.length > 0) subscriber.next(turn);
      };
      subscriber.add(() => ending?.unsubscribe());
      subscriber.add(
        source.subscribe({
          next: (value) => {
            gathered.push(value);
            if (isUrgent(value)) {
              ending?.unsubscribe();
              flush();
            } else if (gathered.length === 1) {
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

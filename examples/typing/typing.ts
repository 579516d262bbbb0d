import { handler, publish } from 'chat-api';
import { concat, map, of, switchMap, throttleTime, timer } from 'rxjs';
import Type from 'typebox';

/** However fast somebody types, the room hears of it this often. */
const TELL_EVERY_MS = 2000;

/** Longer than that, so that it is told again before it would end. */
const STOPS_AFTER_MS = 5000;

/** `typing`: sent with each keystroke, told to the room now and then, and taken back when no more come. */
export const typing = handler('typing', Type.Object({}), (message$, { scheduler }) =>
  message$.pipe(
    throttleTime(TELL_EVERY_MS, scheduler),
    switchMap(({ room }) => {
      const told = (active: boolean) => publish({ type: 'typing', room, data: { active } });
      return concat(of(told(true)), timer(STOPS_AFTER_MS, scheduler).pipe(map(() => told(false))));
    }),
  ),
);

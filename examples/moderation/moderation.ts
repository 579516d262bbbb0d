import { handler, perMessage, publish, reject, type Handler } from 'chat-api';
import { map, timeout, type Observable } from 'rxjs';
import { fromFetch } from 'rxjs/fetch';
import Type from 'typebox';

/** Whether something may be said. Emits once. */
export type Moderator = (content: string) => Observable<boolean>;

export interface ModerationOptions {
  readonly ask: Moderator;
  /** So many messages of one connection are asked about at once. More than 1 is faster, and may change their order. */
  readonly concurrency?: number;
}

/** Who waits longer for an answer than this is told that there is none. */
const PATIENCE_MS = 1000;

/** A client that sends more than this while the moderator thinks is told to wait. */
const QUEUE = 16;

/** `chat` as it is, but a moderator is asked first. It takes the place of the built-in one. */
export function moderatedChat({ ask, concurrency = 1 }: ModerationOptions): Handler {
  return handler(
    'chat',
    Type.Object({ content: Type.String() }),
    (message$, { scheduler, count }) =>
      message$.pipe(
        perMessage(
          (message) =>
            ask(message.data.content).pipe(
              timeout({ first: PATIENCE_MS, scheduler }),
              map((isFine) => {
                count(isFine ? 'passed' : 'refused');
                return isFine ? publish(message) : reject('forbidden', 'not here');
              }),
            ),
          { concurrency, queue: QUEUE },
        ),
      ),
    { events: ['passed', 'refused'] },
  );
}

/** A moderator behind HTTP: it is sent `{ "content" }`, and 200 is yes, 403 is no. A request that is not waited for any more is ended. */
export function httpModerator(url: string): Moderator {
  return (content) =>
    fromFetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ content }),
      selector: async ({ status, body }) => {
        await body?.cancel();
        if (status !== 200 && status !== 403) throw new Error(`the moderator answered ${status}`);
        return status === 200;
      },
    });
}

import { publish, middleware, type ClientMessage } from 'chat-api';
import { delay, filter, map, merge, share } from 'rxjs';

/** Who the answers come from; no identity should be called so. */
const BOT = 'dice';

/** It would be rude to answer before the question has arrived. */
const THINKING_MS = 500;

/** A bot that listens to every `chat` and answers `/roll` in the same room, in its own name. */
export const dice = middleware('dice', (message$, handle, { identity, random, scheduler }) => {
  const all$ = message$.pipe(share());
  const answer$ = all$.pipe(
    filter(isRoll),
    delay(THINKING_MS, scheduler),
    map(({ room }) => {
      const content = `${identity} rolls ${1 + Math.floor(random() * 6)}`;
      return publish({ type: 'chat', room, data: { content } }, { as: BOT });
    }),
  );
  return merge(all$.pipe(handle), answer$);
});

/** The schema of `chat` has been checked before: its data has a content. */
function isRoll({ type, data }: ClientMessage): boolean {
  return type === 'chat' && (data as { readonly content: string }).content === '/roll';
}

import { handler, publish, type HandledMessage } from 'chat-api';
import { auditTime, buffer, mergeMap, share } from 'rxjs';
import Type, { type Static } from 'typebox';

/** Whoever scrolls reads a lot at once: what is read in this time is told together. */
const TOGETHER_MS = 500;

const Read = Type.Object({ upTo: Type.String({ format: 'uuid' }) });

/** `read`: up to which message, by its id. A room hears of the newest. */
export const read = handler('read', Read, (message$, { scheduler }) => {
  const read$ = message$.pipe(share());
  return read$.pipe(buffer(read$.pipe(auditTime(TOGETHER_MS, scheduler))), mergeMap(newestOfEachRoom));
});

/** Ids are UUIDs of version 7, which sort by time. */
function newestOfEachRoom(messages: readonly HandledMessage<Static<typeof Read>>[]) {
  const newest = new Map<string | undefined, string>();
  for (const { room, data } of messages) {
    const upTo = data.upTo.toLowerCase();
    if (upTo > (newest.get(room) ?? '')) newest.set(room, upTo);
  }
  return Array.from(newest, ([room, upTo]) => publish({ type: 'read', room, data: { upTo } }));
}

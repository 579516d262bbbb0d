import { map } from 'rxjs';
import Type from 'typebox';
import { reply } from '../effect.js';
import { handler } from '../handler.js';

/** A heartbeat for clients that cannot send WebSocket pings: answered by `pong` with the same `id` and `data`. */
export const ping = handler('ping', Type.Unknown(), (message$) =>
  message$.pipe(map(({ id, data }) => reply({ type: 'pong', id, data: data ?? {} }))),
);

import { map } from 'rxjs';
import Type from 'typebox';
import { publish } from '../effect.js';
import { handler } from '../handler.js';

/** What people say: to everybody in the room, the sender included. */
export const chat = handler('chat', Type.Object({ content: Type.String() }), (message$) =>
  message$.pipe(map((message) => publish(message))),
);

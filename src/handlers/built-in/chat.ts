import { map } from 'rxjs';
import Type from 'typebox';
import { publish } from '../effect.js';
import { handler } from '../handler.js';

/** A chat message: published to everybody in the room, including the sender. */
export const chat = handler('chat', Type.Object({ content: Type.String() }), (message$) =>
  message$.pipe(map((message) => publish(message))),
);

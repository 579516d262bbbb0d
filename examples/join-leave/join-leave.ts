import { handler, join, leave } from 'chat-api';
import { map } from 'rxjs';
import Type from 'typebox';

const Room = Type.Object({ room: Type.String({ minLength: 1, maxLength: 128 }) });

/** `join`: into a room; answered by `joined`, or by an error with the message's id. */
export const joinRoom = handler('join', Room, (message$) => message$.pipe(map(({ data }) => join([data.room]))));

/** `leave`: out of it again; answered by `left`. */
export const leaveRoom = handler('leave', Room, (message$) => message$.pipe(map(({ data }) => leave([data.room]))));

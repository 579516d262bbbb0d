import { ignoreElements } from 'rxjs';
import Type from 'typebox';
import { handler } from '../handler.js';

/** The answer of a client to a ping. Its arrival is all that counts. */
export const pong = handler('pong', Type.Unknown(), (message$) => message$.pipe(ignoreElements()));

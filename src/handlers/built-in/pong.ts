import { ignoreElements } from 'rxjs';
import Type from 'typebox';
import { handler } from '../handler.js';

/** Nothing to do: that it came is the sign of life. */
export const pong = handler('pong', Type.Unknown(), (message$) => message$.pipe(ignoreElements()));

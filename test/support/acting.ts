import { concatMap, from, type ObservableInput } from 'rxjs';
import Type from 'typebox';
import type { Effect } from '../../src/handlers/effect.js';
import { handler, type Handler } from '../../src/handlers/handler.js';
import type { Inbound } from '../../src/connection/transport.js';
import { text } from './ask.js';

/** A message type with which a client has done what a test says: its `data` chooses by name. */
export function acting(effects: Readonly<Record<string, () => ObservableInput<Effect>>>, type = 'do'): Handler {
  return handler(type, Type.String(), (message$) => message$.pipe(concatMap(({ data }) => from(effects[data]?.() ?? []))));
}

/** What a client says to have it done. */
export function act(name: string, more: object = {}): Inbound {
  return text({ type: 'do', data: name, ...more });
}

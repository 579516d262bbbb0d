import type { Effect } from '../handlers/effect.js';
import { Including } from './diagram/difference.js';
import { Legend } from './diagram/legend.js';
import { show } from './diagram/show.js';

/** Filled in by the connection, or for its log; compared where a test names them. */
const OWN_MEMBERS: ReadonlySet<string> = new Set(['ref', 'by', 'error', 'badInARow']);

/** Nobody can tell two operators from each other but by what they do. */
const someOperator = () => undefined;

/** The letters of a row of effects. */
export function effectLegend(effects: Readonly<Record<string, Effect>> | undefined): Legend {
  const expected = Object.entries(effects ?? {}).map(([letter, effect]) => [letter, expectation(effect)]);
  return new Legend(Object.fromEntries(expected) as Record<string, unknown>, describeEffect);
}

/** An effect as it is compared. */
export function comparable(effect: Effect): object {
  return effect.kind === 'transform' && effect.operator !== undefined ? { ...effect, operator: someOperator } : effect;
}

function expectation(effect: Effect): Including {
  const written = Object.entries(comparable(effect)).filter(([, member]) => member !== undefined);
  return new Including(Object.fromEntries(written), (name) => OWN_MEMBERS.has(name));
}

/** An effect as a handler writes it. */
function describeEffect(value: unknown): string {
  const effect = (value instanceof Including ? value.members : value) as Effect;
  return `${effect.kind === 'rejection' ? 'reject' : effect.kind}(${parametersOf(effect).map(show).join(', ')})`;
}

function parametersOf(effect: Effect): readonly unknown[] {
  switch (effect.kind) {
    case 'reply':
      return [{ type: effect.type, data: effect.data, id: effect.id, ref: effect.ref }];
    case 'publish':
      return [effect.message, ...some({ as: effect.as, outside: effect.outside, ref: effect.ref })];
    case 'join':
    case 'leave':
      return [effect.rooms, ...some({ ref: effect.ref })];
    case 'transform':
      return [effect.operator];
    case 'close':
      return [effect.code, effect.reason];
    case 'rejection':
      return [effect.code, effect.reason, ...(effect.ref === undefined ? [] : [effect.ref])];
  }
}

/** Options, where there are some. */
function some(options: object): readonly object[] {
  return Object.values(options).some((option) => option !== undefined) ? [options] : [];
}

import type { Effect } from '../handler.js';
import type { Rejection } from '../message.js';
import { show } from './show.js';

/** An effect as a handler writes it. */
export function describeEffect(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return show(value);
  const effect = value as Effect | Rejection;
  switch (effect.kind) {
    case 'reply': {
      const { kind, ...message } = effect;
      return `${kind}(${show(message)})`;
    }
    case 'publish':
      return `publish(${show(effect.message)})`;
    case 'close':
      return `close(${effect.code}, ${show(effect.reason)})`;
    case 'rejection':
      return `reject(${[effect.code, effect.reason, effect.ref]
        .filter((one) => one !== undefined)
        .map(show)
        .join(', ')})`;
  }
}

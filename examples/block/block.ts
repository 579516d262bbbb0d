import { handler, transform, type Envelope } from 'chat-api';
import { filter, map, scan, type MonoTypeOperatorFunction } from 'rxjs';
import Type from 'typebox';

const Wish = Type.Object({ who: Type.String(), blocked: Type.Boolean() });

/** Lets through what others say than these. */
export function except(blocked: ReadonlySet<string>): MonoTypeOperatorFunction<Envelope> {
  return filter(({ from }) => !blocked.has(from));
}

/** `block`: the connection no longer hears somebody, or hears them again; nobody else notices. */
export const block = handler('block', Wish, (message$) =>
  message$.pipe(
    scan((blocked, { data: { who, blocked: isBlocked } }) => {
      const others = [...blocked].filter((other) => other !== who);
      return new Set(isBlocked ? [...others, who] : others);
    }, new Set<string>()),
    // Who blocks nobody shares frames with all others again.
    map((blocked) => transform(blocked.size === 0 ? undefined : except(blocked))),
  ),
);

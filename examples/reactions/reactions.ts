import { handler, publish, type Envelope, type OutboundTransform } from 'chat-api';
import { map, scan } from 'rxjs';
import Type, { type Static } from 'typebox';

/** So many counts are kept for a connection; the one that changed longest ago is forgotten first. */
const MOST = 1000;

const Reaction = Type.Object({ to: Type.String({ format: 'uuid' }), emoji: Type.String({ minLength: 1, maxLength: 16 }) });

/** `reaction`: to a message of the room, with an emoji. */
export const reaction = handler('reaction', Reaction, (message$) => message$.pipe(map((message) => publish(message))));

interface Tally {
  /** By message and emoji. */
  readonly counts: ReadonlyMap<string, number>;
  readonly heard: Envelope;
}

/** Each reaction that a connection hears says how many of its kind that message has, of those that the connection heard. */
export const countReactions: OutboundTransform = () => (heard$) =>
  heard$.pipe(
    scan<Envelope, Tally, Pick<Tally, 'counts'>>(tally, { counts: new Map() }),
    map(({ heard }) => heard),
  );

function tally({ counts }: Pick<Tally, 'counts'>, heard: Envelope): Tally {
  if (heard.type !== 'reaction') return { counts, heard };
  const data = heard.data as Static<typeof Reaction>;
  const key = `${data.to} ${data.emoji}`;
  const count = (counts.get(key) ?? 0) + 1;
  const others = Array.from(counts).filter(([other]) => other !== key);
  return {
    counts: new Map([...others.slice(1 - MOST), [key, count]]),
    heard: { ...heard, data: { ...data, count } },
  };
}

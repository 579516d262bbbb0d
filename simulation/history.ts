import type { Violation } from './checks/check.js';
import type { Connection, Fact, FactObserver } from './facts.js';

interface Entry {
  readonly atMs: number;
  readonly connection: Connection | undefined;
  readonly slot: number | undefined;
  readonly text: string;
  /** Faults and warnings are shown in every history. */
  readonly isAlwaysShown: boolean;
}

/** The most events of the violation's own connection and pod. */
const LINES = 60;

/** Records the facts up to the first violation as text. */
export class History implements FactObserver {
  readonly #entries: Entry[] = [];
  #isOver = false;

  observe(fact: Fact, nowMs: number): void {
    if (this.#isOver) return;
    const text = textOf(fact);
    if (text === undefined) return;
    const connection = 'connection' in fact ? fact.connection : undefined;
    const slot = 'pod' in fact ? fact.pod.slot : undefined;
    this.#entries.push({ atMs: nowMs, connection, slot, text, isAlwaysShown: fact.kind === 'fault' || fact.kind === 'warned' });
  }

  stop(): void {
    this.#isOver = true;
  }

  /** All faults and warnings, and the last events of the violation's connection and pod. */
  about({ connection }: Violation): readonly string[] {
    const isAbout = (entry: Entry) =>
      connection === undefined ||
      ((entry.connection ?? connection) === connection && (entry.slot ?? connection.pod.slot) === connection.pod.slot);
    const last = new Set(this.#entries.filter(isAbout).slice(-LINES));
    return this.#entries
      .filter((entry) => entry.isAlwaysShown || last.has(entry))
      .map(({ atMs, text }) => `${new Date(atMs).toISOString().slice(11, 23)} ${text}`);
  }
}

type Texts = { readonly [K in Fact['kind']]: (fact: Fact & { readonly kind: K }) => string | undefined };

const TEXTS: Texts = {
  fault: ({ fault: { kind, slot, index, lastsMs }, phase }) =>
    `${kind} ${phase}${slot < 0 ? '' : ` at pod ${slot}`} (fault ${index}, ${lastsMs} ms)`,
  accepted: ({ channel, position, accepted: { type, id, counts } }) =>
    `Redis accepts ${type} ${id} as number ${position} of ${channel}${counts ? '' : ', at a replica'}`,
  arrived: ({ pod, channel, position }) => `pod ${pod.slot}/${pod.life} gets number ${position} of ${channel}`,
  opened: ({ connection }) => {
    const { client, pod } = connection;
    return `${nameOf(connection)} opens at pod ${pod.slot}/${pod.life}, a ${client.habit} client in [${client.rooms.join(', ')}]`;
  },
  said: ({ connection, id, room }) => `${nameOf(connection)} sends ${id} to ${room ?? 'no room'}`,
  heard: ({ connection, message: { type, id, data } }) =>
    `${nameOf(connection)} receives ${type} ${id}${type === 'chat' ? '' : ` ${JSON.stringify(data)}`}`,
  shut: ({ connection, code }) => `${nameOf(connection)} is asked to close: ${code}`,
  ended: ({ connection, code }) => `${nameOf(connection)} is over for its client: ${code}`,
  closed: ({ connection, code }) => `${nameOf(connection)} is over for its pod: ${code}`,
  member: ({ pod, status, room, clientId, isAnnounced }) =>
    `${clientId} is ${status} in ${room} at pod ${pod.slot}/${pod.life}${isAnnounced ? '' : ', which is too busy for presence'}`,
  presence: ({ pod, what, changes }) =>
    what === 'lost' ? `pod ${pod.slot}/${pod.life} discards ${changes} presence changes` : undefined,
  'presence-ends': ({ pod, phase }) => `presence of pod ${pod.slot}/${pod.life} ends: ${phase}`,
  calm: () => 'all faults are over',
  warned: ({ pod, what }) => `pod ${pod.slot}/${pod.life} warns: ${what}`,
  'left-over': ({ what }) => `left over: ${what}`,
  failed: ({ what }) => `failed: ${what}`,
  written: () => undefined,
  publishing: () => undefined,
  'coming-back': ({ pod, bytes }) => `pod ${pod.slot}/${pod.life} has ${bytes} bytes of its own on the way back`,
  overflowed: ({ pod, bytes, ownBytes }) =>
    `Redis drops the subscription of pod ${pod.slot}/${pod.life}: ${bytes} bytes wait for it, ${ownBytes} of them its own`,
};

function textOf(fact: Fact): string | undefined {
  return (TEXTS[fact.kind] as (fact: Fact) => string | undefined)(fact);
}

function nameOf({ number, client }: Connection): string {
  return `connection ${number} of client ${client.index}`;
}

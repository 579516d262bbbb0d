import type { Subscription } from 'rxjs';
import type { Envelope } from '../src/protocol/protocol.js';
import type { SeededRandom } from './seeded-random.js';
import type { Connection, Facts } from './facts.js';
import type { ClientPlan } from './plan.js';
import type { Item, Reader, SimulatedSocket } from './socket.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

export interface ClientOptions {
  readonly plan: ClientPlan;
  readonly random: SeededRandom;
  readonly timeline: Timeline;
  readonly facts: Facts;
  /** How often something is said to everybody, of all that is said. */
  readonly globalShare: number;
  /** Asks to be let in, wherever there is a pod that lets in; undefined where there is none. */
  readonly enter: (client: ClientPlan, reader: Reader) => SimulatedSocket | undefined;
}

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009]);
/** Somebody whose client may not come back by itself starts another one. */
const ANOTHER_MS = 5000;
/** Its habit shows about once in so many messages. */
const MESSAGES_PER_ACT = 4;
const CLOSE_NORMAL = 1000;
const CLOSE_LOST = 1006;

/** A client by docs/protocol.md, with a habit: it talks, reads at its own pace, and comes back when it shall. */
export class SimulatedClient implements Reader {
  pace: number | undefined;
  readonly #options: ClientOptions;
  #socket: SimulatedSocket | undefined;
  #talking: Subscription | undefined;
  #acting: Subscription | undefined;
  #returning: Subscription | undefined;
  #failures = 0;
  #said = 0;
  #isQuiet = false;
  #hasLeft = false;
  /** Told by `shutdown`. */
  #reconnectInMs: number | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Comes within a time. */
  connectWithin(withinMs: number): void {
    this.#comeIn(this.#options.random.next() * withinMs);
  }

  /** Says nothing more. */
  stopSending(): void {
    this.#isQuiet = true;
    this.#rest();
  }

  /** Goes, and does not come back. */
  leave(): void {
    this.#hasLeft = true;
    this.#rest();
    this.#returning?.unsubscribe();
    this.pace = undefined;
    this.#socket?.poke();
    this.#socket?.send({ kind: 'close', code: CLOSE_NORMAL });
  }

  read(item: Item): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    if (item.kind === 'ping') this.#pong(socket);
    else if (item.kind === 'message') this.#receive(socket, item);
  }

  ended(code: number, unread: number): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#forget(socket, code, unread);
    const { random } = this.#options;
    if (FINAL.has(code) || code >= 4500) {
      this.#comeIn(random.next() * ANOTHER_MS);
    } else {
      const backoffMs = random.next() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
      this.#comeIn(this.#reconnectInMs ?? backoffMs);
    }
  }

  #comeIn(ms: number): void {
    if (this.#hasLeft) return;
    this.#returning = this.#options.timeline.schedule(() => {
      this.#open();
    }, ms);
  }

  #open(): void {
    const { plan, enter, random } = this.#options;
    this.#reconnectInMs = undefined;
    this.pace = plan.habit === 'slow' ? 0.2 + 2 * random.next() : undefined;
    this.#socket = enter(plan, this);
    if (this.#socket === undefined) {
      this.#comeIn(random.next() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++));
      return;
    }
    if (this.#isQuiet) return;
    this.#talkOn();
    this.#actOn();
  }

  #forget(socket: SimulatedSocket, code: number, unread: number): void {
    this.#rest();
    this.#socket = undefined;
    this.#options.facts.record({ kind: 'ended', connection: socket.connection, code, unread });
  }

  #rest(): void {
    this.#talking?.unsubscribe();
    this.#acting?.unsubscribe();
  }

  #receive(socket: SimulatedSocket, { message, writtenMs, late }: Item & { kind: 'message' }): void {
    this.#options.facts.record({ kind: 'heard', connection: socket.connection, message, writtenMs, late });
    if (message.type !== 'system') return;
    const { event, reconnectInMs } = message.data as { event?: string; reconnectInMs?: number };
    if (event === 'welcome') this.#failures = 0;
    if (event === 'shutdown') this.#reconnectInMs = reconnectInMs;
  }

  #pong(socket: SimulatedSocket): void {
    const { plan, random } = this.#options;
    if (plan.habit !== 'silent' || random.happens(0.3)) socket.send({ kind: 'alive' });
  }

  #talkOn(): void {
    const { plan, random, timeline } = this.#options;
    // Who says something is alive: the silent say little.
    const everyMs = plan.habit === 'silent' ? 10 * plan.talksEveryMs + 10_000 : plan.talksEveryMs;
    this.#talking = timeline.schedule(() => {
      this.#talk();
      this.#talkOn();
    }, random.wait(everyMs));
  }

  #actOn(): void {
    const { plan, random, timeline } = this.#options;
    if (['steady', 'slow', 'silent'].includes(plan.habit)) return;
    this.#acting = timeline.schedule(
      () => {
        this.#act();
        if (this.#socket !== undefined) this.#actOn();
      },
      random.wait(MESSAGES_PER_ACT * plan.talksEveryMs),
    );
  }

  #act(): void {
    const { plan, random } = this.#options;
    const socket = this.#socket;
    if (socket === undefined) return;
    const { habit } = plan;
    if (habit === 'restless') socket.send({ kind: 'close', code: CLOSE_NORMAL });
    else if (habit === 'stalling') this.#stall(socket);
    else if (habit === 'vanishing') this.#vanish(socket);
    else if (habit === 'flooding') for (let count = random.integer(20, 150); count > 0; count--) this.#talk();
    else
      for (let count = random.integer(1, 12); count > 0; count--) this.#send(socket, { type: 'nonsense' }, { room: undefined });
  }

  #stall(socket: SimulatedSocket): void {
    this.pace = this.pace === 0 ? undefined : 0;
    socket.poke();
  }

  #vanish(socket: SimulatedSocket): void {
    socket.vanish();
    this.#forget(socket, CLOSE_LOST, 0);
    this.#comeIn(this.#options.random.next() * ANOTHER_MS);
  }

  #talk(): void {
    const { plan, random, globalShare } = this.#options;
    const socket = this.#socket;
    if (socket === undefined) return;
    const { rooms } = plan;
    const draw = random.next();
    const [only] = rooms;
    if (draw < globalShare) {
      this.#send(socket, { type: 'chat', room: '' }, { room: '' });
    } else if (draw < 0.9 && only !== undefined) {
      const room = random.pick([only, ...rooms]);
      const named = rooms.length > 1 || random.happens(0.5) ? { room } : {};
      this.#send(socket, { type: 'chat', ...named }, { room });
    } else if (draw < 0.95) {
      this.#send(socket, { type: 'ping' }, { room: undefined });
    } else {
      this.#send(socket, { type: 'chat', room: 'elsewhere' }, { room: undefined });
    }
  }

  /** @param goes the room that hears it; undefined where nobody does */
  #send(socket: SimulatedSocket, message: { type: string; room?: string }, goes: { readonly room: string | undefined }): void {
    const { plan, facts } = this.#options;
    const { connection } = socket;
    const id = uuid(plan.index, connection.number, (this.#said += 1));
    facts.record({ kind: 'said', connection, id, room: goes.room });
    const content = `${id} in ${goes.room ?? 'no room'} `.padEnd(plan.contentBytes, '.');
    socket.send({ kind: 'text', text: JSON.stringify({ ...message, id, data: { content } }) });
  }
}

/** An id that a client may choose (RFC 9562), and that nobody else does. */
function uuid(client: number, connection: number, count: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0').slice(-digits);
  return `${hex(client, 8)}-0000-8000-8000-${hex(connection, 6)}${hex(count, 6)}`;
}

/** Which client chose an id. */
export function isSentBy({ client }: Connection, { id }: Pick<Envelope, 'id'>): boolean {
  return id.startsWith(client.index.toString(16).padStart(8, '0'));
}

import { expect } from '@jest/globals';
import { WebSocket } from 'ws';
import type { Heard } from './client.js';

/** docs/protocol.md, "Reconnecting". */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/** One connection of a client that returns, from its welcome on. */
export interface Life {
  readonly port: number;
  readonly webSocket: WebSocket;
  readonly heard: Heard[];
  /** The ids of what it said. */
  readonly said: string[];
  /** Set when it is over. */
  code: number | undefined;
}

export interface ReturningOptions {
  /** Where to connect, asked each time. */
  readonly port: () => number;
  readonly path: string;
  /** What each wait before a return is multiplied with. */
  readonly waitFactor: number;
  /** The id of its next message. */
  readonly newId: () => string;
}

/** A client that comes back as docs/protocol.md says: after `reconnectInMs` where it was told, else backing off. */
export class ReturningClient {
  readonly lives: Life[] = [];
  readonly #options: ReturningOptions;
  readonly #waiting = new Set<() => void>();
  #webSocket: WebSocket | undefined;
  #reopening: NodeJS.Timeout | undefined;
  #left = false;
  #failures = 0;

  constructor(options: ReturningOptions) {
    this.#options = options;
    this.#open();
  }

  /** The latest connection that was welcomed. */
  get life(): Life | undefined {
    return this.lives.at(-1);
  }

  /** Says something where it is connected; what it says meanwhile is not kept for later. */
  chat(): string | undefined {
    const { life } = this;
    if (life === undefined || life.code !== undefined || life.webSocket.readyState !== WebSocket.OPEN) return undefined;
    const id = this.#options.newId();
    life.said.push(id);
    life.webSocket.send(JSON.stringify({ type: 'chat', id, data: { content: id } }));
    return id;
  }

  /** Resolves as soon as it is so; looked at whenever something happens to this client. */
  until(isSo: (client: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isSo(this)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  leave(): void {
    this.#left = true;
    clearTimeout(this.#reopening);
    this.#webSocket?.close();
  }

  #open(): void {
    const port = this.#options.port();
    const webSocket = (this.#webSocket = new WebSocket(`ws://127.0.0.1:${port}${this.#options.path}`));
    const life: Life = { port, webSocket, heard: [], said: [], code: undefined };
    // A close follows, also where the upgrade was refused.
    webSocket.on('error', () => undefined);
    webSocket.on('message', (data: Buffer) => {
      this.#transform(life, JSON.parse(data.toString()) as Heard);
    });
    webSocket.on('close', (code) => {
      this.#over(life, code);
    });
  }

  #transform(life: Life, message: Heard): void {
    life.heard.push(message);
    if (isEvent(message, 'welcome')) {
      this.#failures = 0;
      this.lives.push(life);
    }
    this.#look();
  }

  #over(life: Life, code: number): void {
    life.code = code;
    if (!this.#left) {
      const told = code === 1001 ? life.heard.find((message) => isEvent(message, 'shutdown')) : undefined;
      const waitMs = told === undefined ? this.#backoffMs() : Number(told.data['reconnectInMs']);
      this.#reopening = setTimeout(() => {
        this.#open();
      }, waitMs * this.#options.waitFactor);
    }
    this.#look();
  }

  #backoffMs(): number {
    return Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
  }

  #look(): void {
    for (const look of this.#waiting) look();
  }
}

export interface Account {
  readonly sent: number;
  /** Of what was sent: what came back to its sender. */
  readonly echoed: number;
  /** Of what was sent: what got an error, or whose sender's connection ended before the echo. */
  readonly told: number;
  readonly delivered: number;
}

/**
 * Fails where something was lost in silence, came twice or out of order.
 *
 * @param published what went through Redis, in its order
 */
export function account(published: readonly Heard[], clients: readonly ReturningClient[]): Account {
  const ids = published.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const lives = clients.flatMap(({ lives }) => lives);
  for (const life of lives) checkHeard(life, published, ids);
  const fates = lives.flatMap((life) => life.said.map((id) => fateOf(id, life)));
  expect(fates.filter((fate) => fate === 'silence')).toEqual([]);
  return {
    sent: fates.length,
    echoed: fates.filter((fate) => fate === 'echoed').length,
    told: fates.filter((fate) => fate === 'told').length,
    delivered: lives.flatMap(chatsOf).length,
  };
}

/** What a life heard is one unbroken stretch of what was published: from its welcome at the latest, up to its end. */
function checkHeard(life: Life, published: readonly Heard[], ids: readonly string[]): void {
  const heard = chatsOf(life).map(({ id }) => id);
  const [welcome] = life.heard;
  const isOwed = ({ timestamp }: Heard) => welcome !== undefined && timestamp > welcome.timestamp;
  const owedFrom = published.findIndex(isOwed);
  const from = heard[0] === undefined ? ids.length : ids.indexOf(heard[0]);
  expect(heard).toEqual(ids.slice(from, from + heard.length));
  if (heard.length > 0 && owedFrom >= 0) expect(from).toBeLessThanOrEqual(owedFrom);
  if (life.code === undefined) expect(heard.at(-1)).toBe(ids.at(-1));
}

function fateOf(id: string, { heard, code }: Life): 'echoed' | 'told' | 'silence' {
  if (heard.some((message) => message.type === 'chat' && message.id === id)) return 'echoed';
  const isTold = code !== undefined || heard.some(({ type, data }) => type === 'error' && data['ref'] === id);
  return isTold ? 'told' : 'silence';
}

export function chatsOf({ heard }: Pick<Life, 'heard'>): Heard[] {
  return heard.filter(({ type }) => type === 'chat');
}

export function isEvent({ type, data }: Heard, event: string): boolean {
  return type === 'system' && data['event'] === event;
}

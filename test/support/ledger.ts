import { expect } from '@jest/globals';
import { WebSocket } from 'ws';
import type { Client, Heard } from './client.js';

/** From one message of the sender to the next. */
const PACE_MS = 10;

/**
 * Who sent what, who got it, and who was told: one sender that goes on sending whatever happens, and the members of its room, itself
 * among them.
 *
 * The rule: every member has every message once and in order, or heard a `gap` later whose `since` is before it was sent. Every
 * message is echoed to its sender, answered with an error, or within such a gap. What was `unavailable` reached nobody.
 */
export class Ledger {
  readonly #room: string;
  readonly #sender: Client;
  readonly #members: readonly Client[];
  readonly #sentMs: number[] = [];
  readonly #answerMs = new Map<number, number>();
  #pace: NodeJS.Timeout | undefined;

  constructor(room: string, sender: Client, others: readonly Client[]) {
    this.#room = room;
    this.#sender = sender;
    this.#members = [sender, ...others];
    sender.webSocket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as Heard;
      const nth = message.type === 'chat' ? nthOf(message) : message.type === 'error' ? Number(message.data['ref']) : undefined;
      if (nth !== undefined) this.#answerMs.set(nth, Date.now());
    });
  }

  start(): void {
    this.#pace = setInterval(() => {
      this.#send();
    }, PACE_MS);
  }

  end(): void {
    clearInterval(this.#pace);
  }

  /** Sends the last message, and resolves when everybody has it. */
  async stop(): Promise<void> {
    this.end();
    const last = this.#send();
    await Promise.all(this.#members.map((member) => member.hears((message) => nthOf(message) === last)));
  }

  get sent(): number {
    return this.#sentMs.length;
  }

  /** Errors that the sender got, by code. */
  errors(code: string): number {
    return this.#sender.heard.filter(({ type, data }) => type === 'error' && data['code'] === code).length;
  }

  /** Resolves when the sender has been answered, whatever it was, for a message that it sent from now on. */
  async answered(code: string): Promise<void> {
    const from = this.sent;
    await this.#sender.hears(({ type, data }) => type === 'error' && data['code'] === code && Number(data['ref']) >= from);
  }

  /** Resolves when every member has been told so many gaps. */
  async gapsAre(count: number): Promise<void> {
    await Promise.all(this.#members.map((member) => member.hearsMany(count, isGap)));
  }

  gaps(): Heard[][] {
    return this.#members.map(({ heard }) => heard.filter(isGap));
  }

  /** The longest that a message waited for its echo or error, of those that got one, in milliseconds. */
  get longestWaitMs(): number {
    return Math.max(...[...this.#answerMs].map(([nth, ms]) => ms - (this.#sentMs[nth] ?? 0)));
  }

  /** Fails where something was lost in silence, came twice or out of order, or a connection was closed. */
  check(): void {
    const refused = this.#refused('unavailable');
    const failed = new Set([...refused, ...this.#refused('unconfirmed')]);
    for (const member of this.#members) {
      expect(member.webSocket.readyState).toBe(WebSocket.OPEN);
      const got = member.heard.map(nthOf).filter((nth) => nth !== undefined);
      expect(got).toEqual([...new Set(got)].sort((a, b) => a - b));
      expect(got.filter((nth) => refused.has(nth))).toEqual([]);
      const had = new Set(got);
      const missed = this.#sentMs.flatMap((_, nth) => (had.has(nth) || failed.has(nth) ? [] : [nth]));
      expect(missed.filter((nth) => !this.#isTold(member, nth))).toEqual([]);
    }
  }

  #isTold({ heard }: Client, nth: number): boolean {
    const sentMs = this.#sentMs[nth] ?? NaN;
    const laterAt = heard.findIndex((message) => (nthOf(message) ?? -1) > nth);
    // A gap tells of what was before it.
    const tells = ({ data, timestamp }: Heard) => Date.parse(String(data['since'])) <= sentMs && sentMs <= Date.parse(timestamp);
    return heard.slice(0, laterAt < 0 ? heard.length : laterAt).some((message) => isGap(message) && tells(message));
  }

  #refused(code: string): Set<number> {
    const refused = this.#sender.heard.filter(({ type, data }) => type === 'error' && data['code'] === code);
    return new Set(refused.map(({ data }) => Number(data['ref'])));
  }

  #send(): number {
    const nth = this.#sentMs.push(Date.now()) - 1;
    this.#sender.chat(String(nth), { id: String(nth), room: this.#room });
    return nth;
  }
}

function nthOf({ type, data }: Heard): number | undefined {
  const nth = type === 'chat' ? Number(data['content']) : NaN;
  return Number.isInteger(nth) ? nth : undefined;
}

export function isGap({ type, data }: Heard): boolean {
  return type === 'system' && data['event'] === 'gap';
}

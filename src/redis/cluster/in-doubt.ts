import type { ClockReading } from '../liveness/clock-reading.js';

/**
 * A time in which a pod may have published messages of a room to a server of a cluster that no longer owned its slot: confirmed to
 * their senders, and heard by those alone who still listened there.
 */
export interface SpanInDoubt {
  readonly since: ClockReading;
  readonly untilMs: number;
}

/** The rooms that a pod has published to of late, and when Redis confirmed the last message of each. */
export class RecentPublishes {
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #youngSinceMs = -Infinity;

  confirmed(room: string, atMs: number): void {
    this.#young.set(room, atMs);
  }

  /** Confirmations from before a time matter no more. It is forgotten by halves, which costs nothing for each room. */
  forget(beforeMs: number, nowMs: number): void {
    if (this.#youngSinceMs >= beforeMs) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngSinceMs = nowMs;
  }

  /** The rooms that have moved, each with the time of the last confirmation; they are forgotten. */
  take(hasMoved: (room: string) => boolean): ReadonlyMap<string, number> {
    const taken = new Map<string, number>();
    for (const rooms of [this.#old, this.#young]) {
      for (const [room, atMs] of rooms) {
        if (!hasMoved(room)) continue;
        taken.set(room, atMs);
        rooms.delete(room);
      }
    }
    return taken;
  }
}

/** What a pod says to all others through a room's own channel, which leads to all who listen to the room, wherever its slot is. */
export interface Notice {
  /** The pod that says so. */
  readonly pod: string;
  /** How long before it was said the doubt began and ended, in milliseconds: the clocks of two machines are never compared. */
  readonly sinceAgeMs: number;
  readonly untilAgeMs: number;
  /** The beginning of the doubt by the clock of the machine that said so, as its messages bear it. */
  readonly sinceWallMs: number;
}

/** The first byte of a notice; a message begins with a brace. */
const FIRST_BYTE = 'm'.charCodeAt(0);

export function writeNotice({ pod, sinceAgeMs, untilAgeMs, sinceWallMs }: Notice): string {
  const numbers = [sinceAgeMs, untilAgeMs, sinceWallMs].map((ms) => Math.max(0, Math.floor(ms)));
  return `misplaced 1 ${pod} ${numbers.join(' ')}`;
}

/** Undefined for anything else. */
export function readNotice(payload: Buffer): Notice | undefined {
  if (payload[0] !== FIRST_BYTE) return undefined;
  const [, pod, since, until, wall] = /^misplaced 1 (\S{1,64}) (\d{1,12}) (\d{1,12}) (\d{1,15})$/.exec(payload.toString()) ?? [];
  if (pod === undefined) return undefined;
  return { pod, sinceAgeMs: Number(since), untilAgeMs: Number(until), sinceWallMs: Number(wall) };
}

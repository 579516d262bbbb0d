import type { ClockReading } from '../liveness/clock-reading.js';

/**
 * A span in which a pod may have published messages of a room to a server that no longer owned the room's slot: their senders got no
 * error, and only pods still subscribed there received them.
 */
export interface SpanInDoubt {
  readonly since: ClockReading;
  readonly untilMs: number;
}

/** The rooms that a pod has published to lately, and when Redis confirmed the last message of each. */
export class RecentPublishes {
  #young = new Map<string, number>();
  #old = new Map<string, number>();
  #youngSinceMs = -Infinity;

  confirmed(room: string, atMs: number): void {
    this.#young.set(room, atMs);
  }

  /** Forgets rooms whose last message was confirmed before `beforeMs`: by halves, without a loop over the rooms. */
  forget(beforeMs: number, nowMs: number): void {
    if (this.#youngSinceMs >= beforeMs) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngSinceMs = nowMs;
  }

  /** Removes the rooms that have moved. Returns each with the time of its last confirmation. */
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

/** What a pod publishes to a room's own channel about a span in doubt; it reaches all pods with the room, wherever its slot is. */
export interface Notice {
  /** The sending pod. */
  readonly pod: string;
  /** Ages of the begin and the end of the span when the notice was sent, in milliseconds: two machines' clocks are never compared. */
  readonly sinceAgeMs: number;
  readonly untilAgeMs: number;
  /** The begin by the sending pod's wall clock, which the timestamps of its messages are from. */
  readonly sinceWallMs: number;
}

/** The first byte of a notice. That of a message is a brace. */
const FIRST_BYTE = 'm'.charCodeAt(0);

export function writeNotice({ pod, sinceAgeMs, untilAgeMs, sinceWallMs }: Notice): string {
  const numbers = [sinceAgeMs, untilAgeMs, sinceWallMs].map((ms) => Math.max(0, Math.floor(ms)));
  return `misplaced 1 ${pod} ${numbers.join(' ')}`;
}

/** Undefined for any other payload. */
export function readNotice(payload: Buffer): Notice | undefined {
  if (payload[0] !== FIRST_BYTE) return undefined;
  const [, pod, since, until, wall] = /^misplaced 1 (\S{1,64}) (\d{1,12}) (\d{1,12}) (\d{1,15})$/.exec(payload.toString()) ?? [];
  if (pod === undefined) return undefined;
  return { pod, sinceAgeMs: Number(since), untilAgeMs: Number(until), sinceWallMs: Number(wall) };
}

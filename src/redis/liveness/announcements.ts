import { earlierReading, earliestWallMs, type ClockReading, type Clocks } from './clock-reading.js';

/** A pod's announcement that publishes of its own are in doubt (see `PublishesInDoubt`). */
export interface Announcement {
  /** Equal in repetitions of the announcement; undefined if the version of the sending pod has no ids. */
  readonly id: string | undefined;
  /** Age of the earliest publish in doubt when the announcement was sent, by the sending pod's monotonic clock. */
  readonly ageMs: number;
  /** Earliest timestamp of those publishes, by the sending pod's wall clock, in milliseconds since the epoch. */
  readonly wallMs: number;
}

/** The rates of two machines' clocks differ by less than this. */
const MAX_DRIFT = 0.001;

/** The ids of this many announcements are remembered, to recognize repetitions. */
const MAX_IDS = 100;

const VERSION_2 = /^2 ([\w-]{1,64}) (\d{1,15}) (-?\d{1,15})$/;

/** Begin and end of the span by the sending pod's wall clock. Its length is used as the age, which may be too small. */
const VERSION_1 = /^(\d{1,15}) (\d{1,15})$/;

/** The payload on the channel of all pods: format version, id, age and wall-clock time. */
export function writeAnnouncement({ id, ageMs, wallMs }: Announcement & { readonly id: string }): string {
  return `2 ${id} ${Math.ceil(ageMs * (1 + MAX_DRIFT))} ${Math.floor(wallMs)}`;
}

/** Undefined for any other payload. */
export function readAnnouncement(payload: Buffer): Announcement | undefined {
  const text = payload.toString();
  const [, id, age, wall] = VERSION_2.exec(text) ?? [];
  if (age !== undefined && wall !== undefined) return { id, ageMs: Number(age), wallMs: Number(wall) };
  const [, since, until] = VERSION_1.exec(text) ?? [];
  if (since === undefined || until === undefined) return undefined;
  return { id: undefined, ageMs: Math.max(0, Number(until) - Number(since)), wallMs: Number(since) };
}

/** The announcements that a pod has received and has not turned into a gap yet. */
export class Announcements {
  readonly #clocks: Clocks;
  readonly #ids = new Set<string>();
  #since: ClockReading | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /**
   * Takes a payload. The age is subtracted from this machine's own clock; the clocks of two machines are never compared.
   *
   * @param sentMs earliest time at which it can have been sent, by this machine's monotonic clock
   */
  receive(payload: Buffer, sentMs: number): void {
    const announcement = readAnnouncement(payload);
    if (announcement === undefined || this.#isRepeated(announcement.id)) return;
    const ms = sentMs - announcement.ageMs;
    const wallMs = Math.min(announcement.wallMs, earliestWallMs({ ms, wallMs: Infinity }, this.#clocks));
    this.#since = earlierReading({ ms, wallMs }, this.#since ?? { ms, wallMs });
  }

  /** The `since` of the gap for all that were received, in milliseconds since the epoch; undefined if there are none. Forgets them. */
  take(): number | undefined {
    const since = this.#since;
    this.#since = undefined;
    return since && earliestWallMs(since, this.#clocks);
  }

  #isRepeated(id: string | undefined): boolean {
    if (id === undefined) return false;
    if (this.#ids.has(id)) return true;
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (oldest !== undefined && this.#ids.size > MAX_IDS) this.#ids.delete(oldest);
    return false;
  }
}

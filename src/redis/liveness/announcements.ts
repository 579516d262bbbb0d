import { readAnnouncement } from './in-doubt.js';
import { earlierMoment, earliestWallMs, type Clocks, type Moment } from './clock-reading.js';

/** Announcements are repeated for some seconds: this many are remembered, so that each is told once. */
const REMEMBERED = 100;

/** What other pods announced that they misplaced, as this pod's clients have to be told of it. */
export class Announcements {
  readonly #clocks: Clocks;
  readonly #known = new Set<string>();
  #since: Moment | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /**
   * One came. An age from another machine is added to an age of this one's; the clocks themselves are never compared.
   *
   * @param sentMs when it was sent, at the earliest, by this machine's monotonic clock
   */
  hear(payload: Buffer, sentMs: number): void {
    const announcement = readAnnouncement(payload);
    if (announcement === undefined || this.#isKnown(announcement.id)) return;
    const ms = sentMs - announcement.ageMs;
    const wallMs = Math.min(announcement.wallMs, earliestWallMs({ ms, wallMs: Infinity }, this.#clocks));
    this.#since = earlierMoment({ ms, wallMs }, this.#since ?? { ms, wallMs });
  }

  /** They are told now: the `since` of the gap, in milliseconds since the epoch. */
  tell(): number | undefined {
    const since = this.#since;
    this.#since = undefined;
    return since && earliestWallMs(since, this.#clocks);
  }

  #isKnown(id: string | undefined): boolean {
    if (id === undefined) return false;
    if (this.#known.has(id)) return true;
    this.#known.add(id);
    const [oldest] = this.#known;
    if (oldest !== undefined && this.#known.size > REMEMBERED) this.#known.delete(oldest);
    return false;
  }
}

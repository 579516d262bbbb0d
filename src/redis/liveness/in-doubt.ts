import { earlierReading, type ClockReading } from './clock-reading.js';

/** A session of the publisher that has ended. */
export interface EndedSession {
  /** Its publishes since then are in doubt: the server was confirmed as the master shortly before. */
  readonly since: ClockReading;
  /** The server, as far as it is known; another text is another server. */
  readonly server: string;
  /** The server has turned out not to be the master any more. */
  readonly demoted: boolean;
  /** A message was published since then. */
  readonly published: boolean;
}

/** A span of publishes in doubt that is still to be announced. */
export interface UnannouncedSpan {
  /** A new one whenever the span grows. */
  readonly id: string;
  readonly since: ClockReading;
}

/** Each span is announced this many times, since a pod that is reconnecting misses an announcement. */
const ANNOUNCEMENTS = 4;

/**
 * A pod's publishes in doubt: accepted by a server that was no longer the master, so that their senders got no error and only pods
 * still subscribed there received them. The other pods cannot know: the gaps that they sent when they left the old server do not
 * reach as far as the publishes of a pod that left it later. So this pod announces them.
 */
export class PublishesInDoubt {
  readonly #newId: () => string;
  #ended: EndedSession | undefined;
  #unannounced: UnannouncedSpan | undefined;
  #timesLeft = 0;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** The span that is announced next; undefined if all pods know of all. */
  get unannounced(): UnannouncedSpan | undefined {
    return this.#unannounced;
  }

  sessionEnded(session: EndedSession): void {
    if (session.published) this.#ended = session;
  }

  /** The server of the session that ended last has turned out not to be the master any more. */
  masterDemoted(): void {
    if (this.#ended) this.#ended = { ...this.#ended, demoted: true };
  }

  sessionStarted(server: string): void {
    const ended = this.#ended;
    this.#ended = undefined;
    if (ended === undefined || (!ended.demoted && ended.server === server)) return;
    this.#unannounced = { id: this.#newId(), since: earlierReading(ended.since, this.#unannounced?.since ?? ended.since) };
    this.#timesLeft = ANNOUNCEMENTS;
  }

  /** Redis has accepted an announcement of the span. */
  announced({ id }: UnannouncedSpan): void {
    if (this.#unannounced?.id !== id) return;
    this.#timesLeft -= 1;
    if (this.#timesLeft === 0) this.#unannounced = undefined;
  }
}

import type { Timeline } from '../virtual-scheduler.js';

/** One direction of the way between two machines: all that goes there shares its fate. */
export class Lane {
  /** Of each packet beside the usual latency. */
  extraMs = 0;
  readonly #latencyMs: () => number;
  readonly #pipes = new Set<Pipe>();
  #blocks = 0;

  /** @param latencyMs of the next packet, in milliseconds */
  constructor(latencyMs: () => number) {
    this.#latencyMs = latencyMs;
  }

  get blocked(): boolean {
    return this.#blocks > 0;
  }

  latencyMs(): number {
    return this.#latencyMs() + this.extraMs;
  }

  /** Packets are swallowed until `release`; TCP sends them again then, so that nothing is lost in between. */
  block(): void {
    this.#blocks += 1;
  }

  release(): void {
    this.#blocks -= 1;
    if (this.blocked) return;
    for (const pipe of this.#pipes) pipe.release();
  }

  add(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe);
  }
}

/** One direction of one TCP connection: in order, complete, and late. */
export class Pipe {
  readonly #lane: Lane;
  readonly #to: Timeline;
  #held: (() => void)[] = [];
  #lastMs = 0;
  #isCut = false;

  /** @param to who receives, and does so when it is not stalled */
  constructor(lane: Lane, to: Timeline) {
    this.#lane = lane;
    this.#to = to;
    lane.add(this);
  }

  send(deliver: () => void): void {
    if (this.#isCut) return;
    const nowMs = this.#to.now();
    this.#lastMs = Math.max(this.#lastMs, nowMs + this.#lane.latencyMs());
    this.#to.arrive(() => {
      if (this.#isCut) return;
      // What was held up goes first.
      if (this.#lane.blocked || this.#held.length > 0) this.#held.push(deliver);
      else deliver();
    }, this.#lastMs - nowMs);
  }

  /** Hands over what was held up, in one turn. */
  release(): void {
    if (this.#held.length === 0) return;
    this.#to.arrive(() => {
      if (this.#lane.blocked) return;
      const held = this.#held;
      this.#held = [];
      for (const deliver of held) if (!this.#isCut) deliver();
    }, 0);
  }

  /** What is on its way is lost, and nothing goes any more. */
  cut(): void {
    this.#isCut = true;
    this.#held = [];
    this.#lane.remove(this);
  }
}

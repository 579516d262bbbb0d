import type { Subscription } from 'rxjs';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

/** What travels at once over a thin lane, so that connections share it. */
const SEGMENT_BYTES = 1400;

/** Something on its way to a thin lane. */
interface Packet {
  left: number;
  /** That many bytes have passed; another part follows, or nothing. */
  readonly passed: (bytes: number, isWhole: boolean) => void;
}

/** One direction of the way between two machines: all that goes there shares its fate. */
export class Lane {
  /** Of each packet beside the usual latency. */
  extraMs = 0;
  readonly #latencyMs: () => number;
  readonly #pipes = new Set<Pipe>();
  #blocks = 0;
  /** How thin it is made, in bytes per millisecond: the thinnest counts. */
  readonly #rates = new Set<{ readonly rate: number }>();
  /** What waits to pass, by pipe: they take turns. */
  readonly #waiting = new Map<Pipe, Packet[]>();
  #passing: Subscription | undefined;
  /** When what passes now has passed. */
  #freeMs = 0;

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

  /** That many bytes pass in a second; returns what ends that. Where nothing makes it thin any more, all that waits passes at once. */
  narrow(bytesPerSecond: number): () => void {
    const narrowed = { rate: bytesPerSecond / 1000 };
    this.#rates.add(narrowed);
    return () => {
      this.#rates.delete(narrowed);
      if (this.#isThin) return;
      this.#passing?.unsubscribe();
      this.#passing = undefined;
      while (this.#waiting.size > 0) this.#passSegment();
    };
  }

  get #isThin(): boolean {
    return this.#rates.size > 0;
  }

  /** Takes bytes of a pipe, and passes them on when it is their turn. */
  carry(pipe: Pipe, bytes: number, timeline: Timeline, passed: Packet['passed']): void {
    const packets = this.#waiting.get(pipe);
    const packet = { left: bytes, passed };
    if (packets) packets.push(packet);
    else if (!this.#isThin) passed(bytes, true);
    else this.#waiting.set(pipe, [packet]);
    this.#passOn(timeline);
  }

  add(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe);
    this.#waiting.delete(pipe);
  }

  #passOn(timeline: Timeline): void {
    const [next] = this.#waiting.values();
    if (next === undefined || this.#passing !== undefined) return;
    const bytes = next.reduce((sum, { left }) => Math.min(SEGMENT_BYTES, sum + left), 0);
    const rate = Math.min(...[...this.#rates].map((narrowed) => narrowed.rate));
    this.#freeMs = Math.max(this.#freeMs, timeline.now()) + bytes / rate;
    this.#passing = timeline.arrive(() => {
      this.#passing = undefined;
      this.#passSegment();
      this.#passOn(timeline);
    }, this.#freeMs - timeline.now());
  }

  /** Of the pipe whose turn it is. */
  #passSegment(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [pipe, packets] = next;
    this.#waiting.delete(pipe);
    let room = SEGMENT_BYTES;
    const passed: (() => void)[] = [];
    for (let [packet] = packets; packet !== undefined; [packet] = packets) {
      const { left } = packet;
      const bytes = Math.min(left, room);
      if (bytes < left && room === 0) break;
      room -= bytes;
      packet.left -= bytes;
      const isWhole = packet.left === 0;
      const whole = packet;
      if (isWhole) packets.shift();
      passed.push(() => {
        whole.passed(bytes, isWhole);
      });
      if (!isWhole) break;
    }
    if (packets.length > 0) this.#waiting.set(pipe, packets);
    for (const pass of passed) pass();
  }
}

/** One direction of one TCP connection: in order, complete, and late. */
export class Pipe {
  readonly #lane: Lane;
  readonly #to: Timeline;
  /** The machine whose timers the lane uses. */
  readonly #outside: Timeline;
  #held: (() => void)[] = [];
  #lastMs = 0;
  #isCut = false;
  #pendingBytes = 0;

  /**
   * @param to who receives, and does so when it is not stalled
   * @param outside where lanes are, which are never stalled
   */
  constructor(lane: Lane, to: Timeline, outside = to) {
    this.#lane = lane;
    this.#to = to;
    this.#outside = outside;
    lane.add(this);
  }

  /** Packets that were sent and are not delivered. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** @param received of each part of it that arrives; the last one is delivered */
  send(deliver: () => void, bytes = 0, received?: (bytes: number) => void): void {
    if (this.#isCut) return;
    this.#pendingBytes += bytes;
    this.#lane.carry(this, bytes, this.#outside, (passed, isWhole) => {
      if (received || isWhole) this.#travel(passed, received, isWhole ? deliver : undefined, bytes);
    });
  }

  #travel(
    passed: number,
    received: ((bytes: number) => void) | undefined,
    deliver: (() => void) | undefined,
    bytes: number,
  ): void {
    const nowMs = this.#to.now();
    this.#lastMs = Math.max(this.#lastMs, nowMs + this.#lane.latencyMs());
    const arrive = () => {
      received?.(passed);
      if (deliver === undefined) return;
      this.#pendingBytes -= bytes;
      deliver();
    };
    this.#to.arrive(() => {
      if (this.#isCut) return;
      // What was held up goes first.
      if (this.#lane.blocked || this.#held.length > 0) this.#held.push(arrive);
      else arrive();
    }, this.#lastMs - nowMs);
  }

  /** Hands over what was held up, in one turn. */
  release(): void {
    if (this.#held.length === 0) return;
    this.#to.arrive(() => {
      if (this.#lane.blocked) return;
      const held = this.#held;
      this.#held = [];
      for (const arrive of held) if (!this.#isCut) arrive();
    }, 0);
  }

  /** What is on its way is lost, and nothing goes any more. */
  cut(): void {
    this.#isCut = true;
    this.#held = [];
    this.#pendingBytes = 0;
    this.#lane.remove(this);
  }
}

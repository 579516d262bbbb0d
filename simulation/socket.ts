import { Subject, type Observable, type Subscription } from 'rxjs';
import type { Drainable } from '../src/server/drain.js';
import type { Batch } from '../src/hub/frame.js';
import type { Consumer } from '../src/operators/boundedBuffer.js';
import type { Drain, Inbound, Outbound, CloseSocket } from '../src/connection/transport.js';
import type { Connection, Facts } from './facts.js';
import { readFrames } from '../src/testing/frames.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';
import { CloseCode, type Envelope } from '../src/protocol/protocol.js';

/** What travels to a client. */
export type Item =
  | {
      readonly kind: 'message';
      readonly message: Envelope;
      readonly writtenMs: number;
      /** After the close. */ readonly late: boolean;
    }
  | { readonly kind: 'ping' }
  | { readonly kind: 'close'; readonly code: number };

/** What a client sends. */
export type Sent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'binary' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'close'; readonly code: number };

/** The client's end. */
export interface Reader {
  /** Bytes that it reads in a millisecond; undefined for all there are, 0 for none. */
  readonly pace: number | undefined;
  read(item: Item): void;
  /** The connection is over; where `unread` is not 0, there was more than was read. */
  ended(code: number, unread: number): void;
}

export interface SocketOptions {
  readonly connection: Connection;
  readonly actor: (inbound$: Observable<Inbound>, socket: Consumer) => Observable<Outbound>;
  readonly reader: Reader;
  readonly latencyMs: () => number;
  /** Both ends: a pod's process, and where clients live. */
  readonly pod: Timeline;
  readonly outside: Timeline;
  readonly facts: Facts;
  readonly onEnd: (socket: SimulatedSocket) => void;
}

/** What the kernels of both ends hold of what the client has not read. */
const KERNEL_BYTES = 32 * 1024;
/** Node's default for a socket. */
const HIGH_WATER_BYTES = 16 * 1024;
/** One read of a socket brings so much at most. */
const READ_BYTES = 64 * 1024;
/** As long as the real transport waits for the client's half of the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000;
const CONTROL_BYTES = 2;
const GONE = 1006;

/** A client's connection with a wire in between: does for an actor what `WebSocketTransport` does, over bytes that are read sooner or later. */
export class SimulatedSocket implements Drainable, Consumer {
  readonly connection: Connection;
  readonly writable$ = new Subject<unknown>();
  readonly #options: SocketOptions;
  readonly #inbound$ = new Subject<Inbound>();
  readonly #actor: Subscription;
  /** On the way to the client, in order. */
  #outgoing: { readonly item: Item; readonly bytes: number }[] = [];
  #unread = 0;
  /** What the client reads at present. */
  #reading: Subscription | undefined;
  /** At the pod and not read by it. */
  #incoming: Sent[] = [];
  #isPaused = false;
  #isTaking = false;
  #full = false;
  /** Written since the socket took data again. */
  #waited = { messages: 0, bytes: 0 };
  #unsent = 0;
  #isDraining = false;
  #closeCode: number | undefined;
  /** A close frame has gone out: nothing may follow. */
  #isClosing = false;
  #isOver = false;
  #isDone = false;
  #closing: Subscription | undefined;

  constructor(options: SocketOptions) {
    this.#options = options;
    this.connection = options.connection;
    this.#actor = options.actor(this.#inbound$, this).subscribe({
      next: (outbound) => {
        this.#do(outbound);
      },
      error: (error: unknown) => {
        this.#options.facts.record({ kind: 'failed', what: `an actor failed: ${String(error)}` });
      },
    });
  }

  /** The pod's end is over, and nobody listens for what the client says. */
  get isForgotten(): boolean {
    return !this.#inbound$.observed && !this.writable$.observed;
  }

  /** Its bytes wait for a client that does not read them. */
  get unread(): number {
    return this.#unread;
  }

  get isWritable(): boolean {
    return !this.#full;
  }

  /** What the client, or the pod, tells the actor. */
  tell(inbound: Inbound): void {
    this.#inbound$.next(inbound);
  }

  order(drain: Drain): void {
    this.tell(drain);
  }

  terminate(): void {
    this.#end(GONE);
    this.#outgoing = [];
    this.#toClient(GONE);
  }

  /** The client says something. */
  send(sent: Sent): void {
    const { pod, latencyMs } = this.#options;
    pod.arrive(() => {
      this.#incoming.push(sent);
      if (!this.#isPaused) this.#take();
    }, latencyMs());
  }

  /** The client goes away without a word: the pod hears nothing any more. */
  vanish(): void {
    this.#done();
  }

  /** The client reads on, or at another pace. */
  poke(): void {
    this.#stopReading();
    this.#read();
  }

  /** The pod was killed: its kernel resets the connection. */
  kill(): void {
    this.#isOver = true;
    this.#toClient(GONE);
  }

  #do(outbound: Outbound): void {
    switch (outbound.kind) {
      case 'batch':
        this.#write(outbound);
        break;
      case 'ping':
        if (!this.#full) this.#push({ kind: 'ping' }, CONTROL_BYTES);
        break;
      case 'pause':
        this.#isPaused = true;
        break;
      case 'resume':
        this.#isPaused = false;
        this.#take();
        break;
      case 'shut':
        this.#shut(outbound);
    }
  }

  #write({ parts, messages, bytes }: Batch): void {
    const { facts, pod } = this.#options;
    const full = this.#full;
    const late = this.#isClosing || this.#isOver;
    if (this.#isDraining) this.#waited = { messages: this.#waited.messages + messages, bytes: this.#waited.bytes + bytes };
    for (const part of parts) {
      for (const { message, bytes: length } of readFrames(part))
        this.#push({ kind: 'message', message, writtenMs: pod.now(), late }, length);
    }
    const waited = this.#isDraining ? this.#waited : undefined;
    facts.record({ kind: 'written', connection: this.connection, messages, bytes, waited, full, fills: !full && this.#isFull });
    this.#look();
  }

  #push(item: Item, bytes: number): void {
    this.#outgoing.push({ item, bytes });
    this.#unread += bytes;
    this.#read();
  }

  get #isFull(): boolean {
    return this.#unread - KERNEL_BYTES >= HIGH_WATER_BYTES;
  }

  #look(): void {
    this.#full ||= this.#isFull;
  }

  /** The client takes from the wire: all that is there, or as much as its pace allows. */
  #read(): void {
    const { reader, outside, latencyMs } = this.#options;
    const [first] = this.#outgoing;
    if (this.#reading || this.#isDone || first === undefined || reader.pace === 0) return;
    const paceMs = reader.pace === undefined ? 0 : Math.ceil(first.bytes / reader.pace);
    this.#reading = outside.arrive(
      () => {
        this.#reading = undefined;
        if (this.#isDone || reader.pace === 0) return;
        const read = this.#outgoing.splice(0, reader.pace === undefined ? this.#outgoing.length : 1);
        for (const { item, bytes } of read) this.#hand(item, bytes);
        this.#drained();
        this.#read();
      },
      Math.max(latencyMs(), paceMs),
    );
  }

  #stopReading(): void {
    this.#reading?.unsubscribe();
    this.#reading = undefined;
  }

  #done(): void {
    this.#isDone = true;
    this.#stopReading();
  }

  #hand(item: Item, bytes: number): void {
    this.#unread -= bytes;
    if (this.#isDone) return;
    if (item.kind === 'close') this.#answerClose(item.code);
    else this.#options.reader.read(item);
  }

  /** Node says so when everything beyond the kernel's buffers has gone. */
  #drained(): void {
    if (!this.#full || this.#unread > KERNEL_BYTES) return;
    this.#options.pod.arrive(() => {
      if (!this.#full || this.#unread > KERNEL_BYTES) return;
      this.#full = false;
      this.#waited = { messages: 0, bytes: 0 };
      this.#isDraining = true;
      this.writable$.next(undefined);
      this.#isDraining = false;
    }, 0);
  }

  /** What one read of the socket brings comes whole, even where the actor asks for a pause meanwhile. */
  #take(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    while (!this.#isPaused && this.#incoming.length > 0 && !this.#isOver) this.#takeSome();
    this.#isTaking = false;
  }

  #takeSome(): void {
    for (let bytes = 0; bytes < READ_BYTES && !this.#isOver;) {
      const sent = this.#incoming.shift();
      if (sent === undefined) return;
      bytes += sent.kind === 'text' ? sent.text.length : CONTROL_BYTES;
      this.#hear(sent);
    }
  }

  #hear(sent: Sent): void {
    if (sent.kind === 'close') {
      this.#end(sent.code);
      this.#toClient(sent.code);
    } else if (!this.#isClosing) {
      this.tell(sent);
    }
  }

  #shut({ code, now }: CloseSocket): void {
    this.#options.facts.record({ kind: 'shut', connection: this.connection, code });
    this.#closeCode ??= code;
    this.#isPaused = false;
    this.#push({ kind: 'close', code }, CONTROL_BYTES);
    this.#isClosing = true;
    if (now) {
      this.terminate();
      return;
    }
    this.#closing = this.#options.pod.schedule(() => {
      this.terminate();
    }, CLOSE_TIMEOUT_MS);
    this.#take();
  }

  #answerClose(code: number): void {
    this.send({ kind: 'close', code });
    this.#toClient(code);
  }

  #end(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closing?.unsubscribe();
    // What the actor still kept for a full socket is lost with it, and so is what it would not keep.
    this.#unsent = this.#full || this.#closeCode === CloseCode.slowConsumer ? 1 : 0;
    this.#actor.unsubscribe();
    this.#options.facts.record({ kind: 'closed', connection: this.connection, code: this.#closeCode ?? code });
    this.#options.onEnd(this);
  }

  #toClient(code: number): void {
    const { outside, reader, latencyMs } = this.#options;
    outside.arrive(() => {
      if (this.#isDone) return;
      this.#done();
      reader.ended(code, this.#unread + this.#unsent);
    }, latencyMs());
  }
}

import { Subject, Subscription } from 'rxjs';
import { connection } from '../../connection/connection.js';
import type { Drainable } from '../../server/drain.js';
import type { Consumer } from '../../operators/boundedBuffer.js';
import type { ConnectionContext } from '../../connection/context.js';
import type { Envelope } from '../../protocol/protocol.js';
import { ALIVE, BINARY, type Drain, type Inbound, type Outbound } from '../../connection/transport.js';
import { readFrames } from '../frames.js';
import type { Closed } from '../heard.js';

export interface TestClientOptions {
  readonly context: ConnectionContext;
  /** What the client reads. */
  readonly heard: (what: Envelope | Closed) => void;
  /** The connection is over, whoever ended it. */
  readonly ended: (client: TestClient) => void;
}

/** A client and its socket: carries out what its connection asks, as websocket.ts does, with no wire in between. */
export class TestClient implements Consumer, Drainable {
  readonly writable$ = new Subject<unknown>();
  isWritable = true;
  readonly #options: TestClientOptions;
  readonly #inbound$ = new Subject<Inbound>();
  readonly #connection = new Subscription();
  /** What it said while its socket was not read. */
  #unread: Inbound[] = [];
  #isPaused = false;
  #isOver = false;

  constructor(options: TestClientOptions) {
    this.#options = options;
    const outbound$ = connection(this.#inbound$, this, options.context);
    this.#connection.add(
      outbound$.subscribe((outbound) => {
        this.#do(outbound);
      }),
    );
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** A text frame's content; undefined for a binary frame. */
  say(text: string | undefined): void {
    this.#unread.push(text === undefined ? BINARY : { kind: 'text', text });
    this.#read();
  }

  /** Its socket takes more, or no more. */
  take(takes: boolean): void {
    this.isWritable = takes;
    if (takes) this.writable$.next(undefined);
  }

  /** From its pod: nothing of the client's own. */
  tell(inbound: Inbound): void {
    this.#inbound$.next(inbound);
  }

  order(drain: Drain): void {
    this.tell(drain);
  }

  /** Its socket is gone. */
  terminate(): void {
    this.#end();
  }

  #read(): void {
    while (!this.#isPaused && !this.#isOver) {
      const next = this.#unread.shift();
      if (next === undefined) return;
      this.tell(next);
    }
  }

  #do(outbound: Outbound): void {
    const { heard, context } = this.#options;
    switch (outbound.kind) {
      case 'batch':
        for (const part of outbound.parts) for (const { message } of readFrames(part)) heard(message);
        break;
      case 'ping':
        // Its library answers; not within what is being told.
        context.pod.runtime.scheduler.schedule(() => {
          if (!this.#isOver) this.tell(ALIVE);
        });
        break;
      case 'pause':
        this.#isPaused = true;
        break;
      case 'resume':
        this.#isPaused = false;
        context.pod.runtime.scheduler.schedule(() => {
          this.#read();
        });
        break;
      case 'shut':
        heard({ closed: outbound.code });
        this.#end();
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection.unsubscribe();
    this.#options.ended(this);
  }
}

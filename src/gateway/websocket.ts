import type { Upgrade } from '../http/server.js';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Observable, type Subscriber } from 'rxjs';
import { WebSocket as PlainWebSocket, WebSocketServer, type RawData, type ServerOptions } from 'ws';
import type { Batch } from '../hub/frame.js';
import type { Metrics } from '../runtime/metrics.js';
import type { Consumer } from '../operators/boundedBuffer.js';
import { LeanSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode, SUBPROTOCOL } from '../protocol/protocol.js';
import {
  ALIVE,
  BINARY,
  closeSocket,
  type Drain,
  type Inbound,
  type Outbound,
  type CloseSocket,
} from '../connection/transport.js';

/** How long a client may take for its half of the closing handshake before its socket is torn down. */
const CLOSE_TIMEOUT_MS = 5000;

/** The version of the protocol (RFC 6455 section 4.1), as its header has it. */
const VERSION = '13';

/** A message may come in so many fragments: a bound on what an unfinished message holds beside its bytes. */
const MAX_FRAGMENTS = 1024;

/** So many reads may make up one frame; each holds its buffer, however little is in it. */
const MAX_BUFFERED_CHUNKS = 4096;

/** A larger message may take more of them: a TCP segment brings at least so much (RFC 9293 section 3.7.1). */
const MIN_CHUNK_BYTES = 536;

/** A connection's actor, as `connection` makes it. */
export type Actor = (inbound$: Observable<Inbound>, socket: Consumer) => Observable<Outbound>;

/** Why an upgrade that looked like one is none (RFC 6455 section 4.2.1). */
export type OnBadHandshake = (socket: Duplex, reason: string) => void;

/**
 * Turns upgrades into WebSockets: the only place that knows ws.
 *
 * @returns completes an upgrade and calls back with its socket; never calls back where the handshake was bad
 */
export function webSockets(maxMessageBytes: number, onBadHandshake: OnBadHandshake) {
  const options: ServerOptions<typeof WebSocket> & { closeTimeout: number } = {
    noServer: true,
    WebSocket,
    clientTracking: false,
    // Shared frames and little memory per connection are worth more than compressed ones.
    perMessageDeflate: false,
    // ws would queue one pong for every ping of a client that reads none; see `#pong`.
    autoPong: false,
    maxPayload: maxMessageBytes,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: Math.max(MAX_BUFFERED_CHUNKS, Math.ceil(maxMessageBytes / MIN_CHUNK_BYTES)),
    closeTimeout: CLOSE_TIMEOUT_MS,
    // Without this, ws repeats the first protocol that was offered, which may be somebody's token.
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  };
  const server = new WebSocketServer(options);
  server.on('wsClientError', (error, socket) => {
    onBadHandshake(socket, error.message);
  });
  return ({ request, socket, head }: Upgrade, onOpen: (webSocket: WebSocket) => void) => {
    // ws takes whatever JavaScript reads as the number 13, and version 8, whose origin stands in a header that no guard reads.
    if (request.headers['sec-websocket-version'] !== VERSION) {
      onBadHandshake(socket, 'missing or unknown Sec-WebSocket-Version');
      return;
    }
    // The 101 and a welcome that is ready leave together, in one system call.
    socket.cork();
    try {
      server.handleUpgrade(request, socket, head, onOpen);
    } finally {
      socket.uncork();
    }
  };
}

/** ws closes by itself when a client breaks the protocol; its error's code tells with which close code. */
const PROTOCOL_ERRORS: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
};
const PROTOCOL_ERROR = 1002;

/** Whom transports report to. */
export interface TransportHost {
  readonly metrics: Metrics;
  /** The socket is gone. */
  readonly onEnd: (transport: WebSocketTransport) => void;
}

/** A WebSocket that knows its transport, so that one set of listeners serves all of them. */
export class WebSocket extends PlainWebSocket {
  transport: WebSocketTransport | undefined;

  /** ws calls it too, to answer a client's close or a broken protocol. */
  override close(code?: number, reason?: string | Buffer): void {
    this.transport?.closing();
    super.close(code, reason);
  }
}

/** One connection's socket: tells the actor what comes in, and does what the actor asks. */
export class WebSocketTransport extends LeanSubscriber<Outbound> implements Consumer {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #host: TransportHost;
  #inbound: Subscriber<Inbound> | undefined;
  #waiting: Subscriber<unknown> | undefined;
  #full = false;
  /** The actor wants the socket left unread. */
  #isPaused = false;
  /** The pod does. */
  #isHeld = false;
  /** A close frame went out, or was due; nothing may follow it. */
  #closing = false;
  /** What the client's last ping wants back; it waits while the socket is full. */
  #owedPong: Buffer | undefined;
  /** Why the connection ends, where that is known before the socket tells. */
  #closeCode: number | undefined;

  /**
   * @param socket the upgrade's own: shared frames are written to it directly, past ws, which would frame them again for each client
   */
  constructor(webSocket: WebSocket, socket: Socket, host: TransportHost) {
    super();
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#host = host;
    webSocket.transport = this;
    webSocket.on('message', onMessage);
    webSocket.on('ping', onPing);
    webSocket.on('pong', onPong);
    webSocket.on('error', onError);
    webSocket.on('close', onClose);
  }

  /** Puts the actor to work. */
  begin(actor: Actor): void {
    // For one subscriber, the actor: a Subject would keep a list.
    const inbound$ = new Observable<Inbound>((subscriber) => {
      this.#inbound = subscriber;
    });
    actor(inbound$, this).subscribe(this);
  }

  get isWritable(): boolean {
    return !this.#full;
  }

  get writable$(): Observable<unknown> {
    return new Observable((subscriber) => {
      this.#waiting = subscriber;
    });
  }

  /** What the client, or the pod, tells the actor. */
  tell(inbound: Inbound): void {
    if (this.#inbound?.closed === true) this.#abandoned();
    else this.#inbound?.next(inbound);
  }

  /** A ping: a sign of life, and a pong is owed. */
  pinged(payload: Buffer): void {
    this.#owedPong = payload;
    this.#pong();
    this.tell(ALIVE);
  }

  closing(): void {
    this.#closing = true;
  }

  /** The client broke the protocol, and ws closes; or the socket failed. */
  failed({ code }: NodeJS.ErrnoException): void {
    if (code?.startsWith('WS_ERR')) this.#closeCode ??= PROTOCOL_ERRORS[code] ?? PROTOCOL_ERROR;
    this.unsubscribe();
  }

  /** The socket is gone; the code is the client's or ws's, and counts where we had none. */
  ended(code: number): void {
    this.unsubscribe();
    this.#host.metrics.closed(this.#closeCode ?? code);
    this.#host.onEnd(this);
  }

  order(drain: Drain): void {
    this.tell(drain);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  /** The pod is full, and reads no socket; or is not any more. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#read();
  }

  /** A socket that closes is read whatever anybody wants: a paused one would never see the client's half of the closing handshake. */
  #read(): void {
    if (this.#closing) return;
    if (this.#isPaused || this.#isHeld) this.#webSocket.pause();
    else this.#webSocket.resume();
  }

  /** Does what the actor asks. */
  override next(outbound: Outbound): void {
    if (this.closed) return;
    switch (outbound.kind) {
      case 'batch':
        this.#write(outbound);
        break;
      case 'ping':
        if (!this.#full) this.#webSocket.ping();
        break;
      case 'pause':
        this.#isPaused = true;
        this.#read();
        break;
      case 'resume':
        this.#isPaused = false;
        this.#read();
        break;
      case 'shut':
        this.#shut(outbound);
    }
  }

  #write({ parts, messages, publishedAtMs }: Batch): void {
    const socket = this.#socket;
    if (this.#closing || !socket.writable) return;
    if (parts.length > 1) socket.cork();
    for (const part of parts) socket.write(part);
    if (parts.length > 1) socket.uncork();
    if (publishedAtMs !== undefined) this.#host.metrics.delivered(messages);
    this.#look();
  }

  /** Is the socket full? write() answers false also for what the kernel took at once; what counts is what it left. */
  #look(): void {
    if (this.#full || this.#socket.writableLength < this.#socket.writableHighWaterMark) return;
    this.#full = true;
    this.#socket.once('drain', () => {
      this.#full = false;
      this.#waiting?.next(undefined);
      this.#pong();
    });
  }

  /** The actor listens no more and said no `shut`, as when the stack ended within it: a tick, at the latest, tells. */
  #abandoned(): void {
    if (this.closed) return;
    this.unsubscribe();
    this.#shut(closeSocket(CloseCode.handlerBug, 'internal error'));
  }

  /** Answers the latest ping alone, which is all that is asked (RFC 6455 section 5.5.3), once the socket takes it. */
  #pong(): void {
    if (this.#full || this.#owedPong === undefined || this.#closing) return;
    this.#webSocket.pong(this.#owedPong);
    this.#owedPong = undefined;
    this.#look();
  }

  #shut({ code, reason, now }: CloseSocket): void {
    this.#closeCode ??= code;
    // A paused socket would never see the client's half of the closing handshake.
    this.#webSocket.resume();
    this.#webSocket.close(code, reason);
    if (now) this.#webSocket.terminate();
  }
}

function onMessage(this: PlainWebSocket, data: RawData, isBinary: boolean): void {
  // nodebuffer, ws's default, makes every message one Buffer.
  transportOf(this)?.tell(isBinary ? BINARY : { kind: 'text', text: (data as Buffer).toString('utf8') });
}

function onPing(this: PlainWebSocket, payload: Buffer): void {
  transportOf(this)?.pinged(payload);
}

function onPong(this: PlainWebSocket): void {
  transportOf(this)?.tell(ALIVE);
}

function onError(this: PlainWebSocket, error: NodeJS.ErrnoException): void {
  transportOf(this)?.failed(error);
}

function onClose(this: PlainWebSocket, code: number): void {
  transportOf(this)?.ended(code);
}

/** ws makes them all of the class it was given. */
function transportOf(webSocket: PlainWebSocket): WebSocketTransport | undefined {
  return webSocket instanceof WebSocket ? webSocket.transport : undefined;
}

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

/** The time that a client has for its half of the closing handshake before its socket is destroyed. */
const CLOSE_TIMEOUT_MS = 5000;

/** The version of the protocol, as `Sec-WebSocket-Version` has it (RFC 6455 section 4.1). */
const VERSION = '13';

/** The most fragments of a message: bounds the memory of an unfinished message beside its bytes. */
const MAX_FRAGMENTS = 1024;

/** The most reads that one frame may take; each holds its buffer, however little is in it. */
const MAX_BUFFERED_CHUNKS = 4096;

/** A larger message may take more reads: this is the least that a TCP segment brings (RFC 9293 section 3.7.1). */
const MIN_CHUNK_BYTES = 536;

/** The pipeline of a connection, as `connection` makes it. */
export type Pipeline = (inbound$: Observable<Inbound>, socket: Consumer) => Observable<Outbound>;

/** Called for an upgrade with a bad handshake (RFC 6455 section 4.2.1). */
export type OnBadHandshake = (socket: Duplex, reason: string) => void;

/**
 * Turns upgrades into WebSockets. Only this file knows ws.
 *
 * @returns completes an upgrade and calls back with its socket; does not call back where the handshake was bad
 */
export function webSockets(maxMessageBytes: number, onBadHandshake: OnBadHandshake) {
  const options: ServerOptions<typeof WebSocket> & { closeTimeout: number } = {
    noServer: true,
    WebSocket,
    clientTracking: false,
    // Shared frames and little memory per connection are worth more than compressed ones.
    perMessageDeflate: false,
    // ws would queue a pong for every ping, for clients that do not read too; see `#pong`.
    autoPong: false,
    maxPayload: maxMessageBytes,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: Math.max(MAX_BUFFERED_CHUNKS, Math.ceil(maxMessageBytes / MIN_CHUNK_BYTES)),
    closeTimeout: CLOSE_TIMEOUT_MS,
    // By default, ws chooses the first protocol that was offered, which may be a token.
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  };
  const server = new WebSocketServer(options);
  server.on('wsClientError', (error, socket) => {
    onBadHandshake(socket, error.message);
  });
  return ({ request, socket, head }: Upgrade, onOpen: (webSocket: WebSocket) => void) => {
    // ws takes any text that JavaScript reads as 13, and version 8, which has its origin in a header that is not checked.
    if (request.headers['sec-websocket-version'] !== VERSION) {
      onBadHandshake(socket, 'missing or unknown Sec-WebSocket-Version');
      return;
    }
    // The 101 and a welcome that is ready are sent together, in one system call.
    socket.cork();
    try {
      server.handleUpgrade(request, socket, head, onOpen);
    } finally {
      socket.uncork();
    }
  };
}

/** The close codes with which ws closes when a client breaks the protocol, by the code of ws's error. */
const PROTOCOL_ERRORS: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 1008,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
};
const PROTOCOL_ERROR = 1002;

/** The owner of transports, to which they report. */
export interface TransportHost {
  readonly metrics: Metrics;
  /** The socket is closed. */
  readonly onEnd: (transport: WebSocketTransport) => void;
}

/** A WebSocket that knows its transport, so that all WebSockets share one set of listeners. */
export class WebSocket extends PlainWebSocket {
  transport: WebSocketTransport | undefined;

  /** ws calls it too, when the client closes or breaks the protocol. */
  override close(code?: number, reason?: string | Buffer): void {
    this.transport?.closing();
    super.close(code, reason);
  }
}

/** The socket of a connection: emits to the pipeline what arrives, and carries out what the pipeline emits. */
export class WebSocketTransport extends LeanSubscriber<Outbound> implements Consumer {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  readonly #host: TransportHost;
  #inbound: Subscriber<Inbound> | undefined;
  #waiting: Subscriber<unknown> | undefined;
  #full = false;
  /** The pipeline has paused reading. */
  #isPaused = false;
  /** The pod has paused reading. */
  #isHeld = false;
  /** A close frame was sent, or would have been; no frame may follow it. */
  #closing = false;
  /** The payload of the client's last ping, not answered yet because the socket is full. */
  #owedPong: Buffer | undefined;
  /** The close code, where it is known before the socket closes. */
  #closeCode: number | undefined;

  /**
   * @param socket the upgrade's own: shared frames are written to it directly, since ws would frame them again for each client
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

  /** Subscribes to the pipeline. */
  begin(pipeline: Pipeline): void {
    // There is one subscriber, so this saves the list of a Subject.
    const inbound$ = new Observable<Inbound>((subscriber) => {
      this.#inbound = subscriber;
    });
    pipeline(inbound$, this).subscribe(this);
  }

  get isWritable(): boolean {
    return !this.#full;
  }

  get writable$(): Observable<unknown> {
    return new Observable((subscriber) => {
      this.#waiting = subscriber;
    });
  }

  /** Emits to the pipeline. */
  emit(inbound: Inbound): void {
    if (this.#inbound?.closed === true) this.#abandoned();
    else this.#inbound?.next(inbound);
  }

  /** A ping: a sign of life, to be answered by a pong. */
  pinged(payload: Buffer): void {
    this.#owedPong = payload;
    this.#pong();
    this.emit(ALIVE);
  }

  closing(): void {
    this.#closing = true;
  }

  /** The client broke the protocol, and ws closes the connection; or the socket failed. */
  failed({ code }: NodeJS.ErrnoException): void {
    if (code?.startsWith('WS_ERR')) this.#closeCode ??= PROTOCOL_ERRORS[code] ?? PROTOCOL_ERROR;
    this.unsubscribe();
  }

  /** The socket is closed. @param code the client's or ws's, counted where the pipeline chose none */
  ended(code: number): void {
    this.unsubscribe();
    this.#host.metrics.closed(this.#closeCode ?? code);
    this.#host.onEnd(this);
  }

  order(drain: Drain): void {
    this.emit(drain);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  /** Pauses or resumes reading for the pod. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#updateReading();
  }

  /** A closing socket is always read: a paused one would never see the client's half of the closing handshake. */
  #updateReading(): void {
    if (this.#closing) return;
    if (this.#isPaused || this.#isHeld) this.#webSocket.pause();
    else this.#webSocket.resume();
  }

  /** Carries out what the pipeline emits. */
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
        this.#updateReading();
        break;
      case 'resume':
        this.#isPaused = false;
        this.#updateReading();
        break;
      case 'shut':
        this.#close(outbound);
    }
  }

  #write({ parts, messages, publishedAtMs }: Batch): void {
    const socket = this.#socket;
    if (this.#closing || !socket.writable) return;
    if (parts.length > 1) socket.cork();
    for (const part of parts) socket.write(part);
    if (parts.length > 1) socket.uncork();
    if (publishedAtMs !== undefined) this.#host.metrics.delivered(messages);
    this.#checkFull();
  }

  /** `write()` also returns false for bytes that the kernel took at once, so what counts is what is left. */
  #checkFull(): void {
    if (this.#full || this.#socket.writableLength < this.#socket.writableHighWaterMark) return;
    this.#full = true;
    this.#socket.once('drain', () => {
      this.#full = false;
      this.#waiting?.next(undefined);
      this.#pong();
    });
  }

  /** The pipeline is unsubscribed without a close, as after a stack overflow within it. The next tick at the latest finds out. */
  #abandoned(): void {
    if (this.closed) return;
    this.unsubscribe();
    this.#close(closeSocket(CloseCode.handlerBug, 'internal error'));
  }

  /** Answers only the latest ping, as RFC 6455 section 5.5.3 allows, once the socket is not full. */
  #pong(): void {
    if (this.#full || this.#owedPong === undefined || this.#closing) return;
    this.#webSocket.pong(this.#owedPong);
    this.#owedPong = undefined;
    this.#checkFull();
  }

  #close({ code, reason, now }: CloseSocket): void {
    this.#closeCode ??= code;
    // A paused socket would never see the client's half of the closing handshake.
    this.#webSocket.resume();
    this.#webSocket.close(code, reason);
    if (now) this.#webSocket.terminate();
  }
}

function onMessage(this: PlainWebSocket, data: RawData, isBinary: boolean): void {
  // nodebuffer, ws's default, makes every message one Buffer.
  transportOf(this)?.emit(isBinary ? BINARY : { kind: 'text', text: (data as Buffer).toString('utf8') });
}

function onPing(this: PlainWebSocket, payload: Buffer): void {
  transportOf(this)?.pinged(payload);
}

function onPong(this: PlainWebSocket): void {
  transportOf(this)?.emit(ALIVE);
}

function onError(this: PlainWebSocket, error: NodeJS.ErrnoException): void {
  transportOf(this)?.failed(error);
}

function onClose(this: PlainWebSocket, code: number): void {
  transportOf(this)?.ended(code);
}

/** ws makes all its WebSockets of the class that it is given. */
function transportOf(webSocket: PlainWebSocket): WebSocketTransport | undefined {
  return webSocket instanceof WebSocket ? webSocket.transport : undefined;
}

import { ServerResponse, createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SchedulerLike } from 'rxjs';
import { answerTo, refuse, send, type Page } from './answer.js';
import type { Descriptors } from '../runtime/descriptors.js';
import { PendingSockets } from './pending-sockets.js';
import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';
import { INTERNAL, readHeaders, target, type Refusal, type UpgradeRequest } from './request.js';
import { Turns } from './turns.js';

/** An upgrade to websocket, as Node gives it. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** What the client sent behind its request. */
  readonly head: Buffer;
}

export interface HttpOptions {
  readonly pages: ReadonlyMap<string, Page>;
  readonly log: Logger;
  readonly scheduler: SchedulerLike;
  readonly descriptors: Descriptors;
  /** The headers of a request may take so long. */
  readonly headersTimeoutMs: number;
  /** Absent: this server has no WebSockets. */
  readonly webSockets?: WebSocketEndpoint;
}

export interface WebSocketEndpoint {
  /** What stands before `/ws`. */
  readonly basePath: string;
  /** An upgrade to websocket on a WebSocket path. */
  readonly onUpgrade: (upgrade: Upgrade, request: UpgradeRequest) => void;
}

/** Closed pending connections are logged at most once in this time. */
const LOG_INTERVAL_MS = 60_000;

/**
 * A connection that waits for its next request is kept for so long: longer than load balancers keep theirs (60 s for most), or one of them
 * would send a request on a connection that is being closed, and an upgrade is not sent again.
 */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

const EXPECTATION_FAILED: Refusal = { status: 417, code: 'expectation_failed', message: 'the expectation is not met here' };

/** The HTTP side of the service: pages, refusals, and upgrades passed on. */
export function httpServer(options: HttpOptions): Server {
  const { headersTimeoutMs } = options;
  const door = new HttpConnections(options);
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // Node looks for slow requests only so often.
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 10),
    // Asked for in `answerTo`, so that the answer is ours.
    requireHostHeader: false,
  });
  // Node drops the headers beyond this number without a word: a guard would judge a request by less than was sent. The 16 KiB that all
  // headers may have together are their bound.
  server.maxHeadersCount = 0;
  server.on('connection', door.enter);
  server.on('request', door.request);
  server.on('checkExpectation', door.expectation);
  server.on('connect', door.tunnel);
  server.on('upgrade', door.upgrade);
  server.on('clientError', door.broken);
  return server;
}

/** What happens to whoever connects. */
class HttpConnections {
  readonly #options: HttpOptions;
  readonly #turns = new Turns();
  readonly #halfOpen: PendingSockets;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { descriptors, log, scheduler } = options;
    const throttle = new LogThrottle({ intervalMs: LOG_INTERVAL_MS, now: () => scheduler.now() });
    const most = () => descriptors.mostHalfOpen;
    this.#halfOpen = new PendingSockets(most, () => {
      const passed = throttle.pass();
      if (passed) log.warn({ dropped: 1 + (passed.unlogged ?? 0), most: most() }, 'too many pending connections');
    });
    descriptors.reclaimFrom(this.#halfOpen);
  }

  readonly enter = (socket: Socket): void => {
    this.#options.descriptors.taken();
    this.#halfOpen.enter(socket);
  };

  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    this.#halfOpen.touch(request.socket);
    if (this.#turns.isNext(request.socket)) this.#respond(request, response);
  };

  readonly expectation = (request: IncomingMessage, response: ServerResponse): void => {
    if (!this.#turns.isNext(request.socket)) return;
    this.#turns.begin(request.socket, response);
    send(response, EXPECTATION_FAILED);
  };

  /** Nothing is a tunnel here; without a listener, Node would close without an answer. */
  readonly tunnel = (request: IncomingMessage, socket: Socket): void => {
    if (this.#takeOver(socket)) this.#respondOnSocket(request, socket);
  };

  readonly upgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    if (!this.#takeOver(socket)) return;
    const { webSockets, descriptors } = this.#options;
    const place = target(request.url ?? '', webSockets?.basePath);
    if (webSockets && place.kind === 'webSocket' && asksForWebSocket(request)) {
      this.#halfOpen.leave(socket);
      const noDescriptors = descriptors.areUsedUp;
      if (descriptors.areScarce) this.#halfOpen.makeRoom();
      const { method, rawHeaders } = request;
      const headers = readHeaders(rawHeaders);
      webSockets.onUpgrade({ request, socket, head }, { method, headers, peer: socket.remoteAddress, noDescriptors, ...place });
    } else {
      this.#respondOnSocket(request, socket);
    }
  };

  readonly broken = ({ code }: NodeJS.ErrnoException, socket: Duplex): void => {
    refuse(socket, clientRefusal(code));
  };

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const { pages, log, webSockets } = this.#options;
    this.#turns.begin(request.socket, response);
    void answerTo(request, pages, webSockets?.basePath)
      .catch((error: unknown): Refusal => {
        log.error({ err: error }, 'request failed');
        return INTERNAL;
      })
      .then((answer) => {
        send(response, answer);
      });
  }

  /** Node gives up the socket, its listener for errors included, and the client may be gone already. */
  #takeOver(socket: Socket): boolean {
    socket.on('error', destroy);
    return this.#turns.isNext(socket);
  }

  /**
   * Node hands over the socket for `CONNECT` and for any `Upgrade` header; one that is not ours is ignored (RFC 9110 section 7.8) and
   * answered as if it were not there.
   */
  #respondOnSocket(request: IncomingMessage, socket: Socket): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.on('finish', () => {
      socket.destroySoon();
    });
    this.#respond(request, response);
  }
}

function asksForWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  // RFC 6455 section 4.1 has 1.1 "or higher", but what is higher is not spoken here, whatever the request line says.
  return headers.upgrade?.toLowerCase() === 'websocket' && httpVersion === '1.1';
}

function clientRefusal(code: string | undefined): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW')
    return { status: 431, code: 'headers_too_large', message: 'the request headers are too large' };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, code: 'timeout', message: 'the request took too long' };
  return { status: 400, code: 'bad_request', message: 'the request is not HTTP' };
}

function destroy(this: Socket): void {
  this.destroy();
}

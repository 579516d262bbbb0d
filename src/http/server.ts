import { ServerResponse, createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SchedulerLike } from 'rxjs';
import { answerTo, refuse, send, type Page } from './answer.js';
import type { Descriptors } from '../runtime/descriptors.js';
import { PendingSockets } from './pending-sockets.js';
import { LogThrottle } from '../runtime/log-throttle.js';
import type { Logger } from '../runtime/log.js';
import { readHeaders, target, type UpgradeRequest } from './request.js';
import { INTERNAL, type Refusal } from './refusal.js';
import { OneRequest } from './one-request.js';

/** An upgrade to websocket, as Node reports it. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Bytes that the client sent after its request. */
  readonly head: Buffer;
}

export interface HttpOptions {
  readonly pages: ReadonlyMap<string, Page>;
  readonly log: Logger;
  readonly scheduler: SchedulerLike;
  readonly descriptors: Descriptors;
  /** The time in which the headers of a request have to arrive. */
  readonly headersTimeoutMs: number;
  /** Absent: this server has no WebSockets. */
  readonly webSockets?: WebSocketEndpoint;
}

export interface WebSocketEndpoint {
  /** The path before `/ws`. */
  readonly basePath: string;
  /** An upgrade to websocket on a WebSocket path. */
  readonly onUpgrade: (upgrade: Upgrade, request: UpgradeRequest) => void;
}

/** Closed pending connections are logged at most once in this time. */
const LOG_INTERVAL_MS = 60_000;

/**
 * The time for which an idle connection is kept. It is longer than that of most load balancers (60 s): otherwise one could send a request on
 * a connection that is being closed, and upgrades are not retried.
 */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

const EXPECTATION_FAILED: Refusal = { status: 417, code: 'expectation_failed', message: 'the expectation is not met here' };

/** The HTTP side of the service: pages, refusals, and upgrades passed on. */
export function httpServer(options: HttpOptions): Server {
  const { headersTimeoutMs } = options;
  const connections = new HttpConnections(options);
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // The interval at which Node looks for slow requests.
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 10),
    // `answerTo` checks it, so that the refusal has our JSON body.
    requireHostHeader: false,
  });
  // Node silently drops headers beyond this number, so checks would not see all that was sent. The bound is the 16 KiB of all headers.
  server.maxHeadersCount = 0;
  server.on('connection', connections.connected);
  server.on('request', connections.request);
  server.on('checkExpectation', connections.expectation);
  server.on('connect', connections.tunnel);
  server.on('upgrade', connections.upgrade);
  server.on('clientError', connections.broken);
  return server;
}

/** The HTTP connections of a server, from their first byte to an answer or an upgrade. */
class HttpConnections {
  readonly #options: HttpOptions;
  readonly #oneRequest = new OneRequest();
  readonly #pending: PendingSockets;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { descriptors, log, scheduler } = options;
    const throttle = new LogThrottle({ intervalMs: LOG_INTERVAL_MS, now: () => scheduler.now() });
    const most = () => descriptors.mostPending;
    this.#pending = new PendingSockets(most, () => {
      const passed = throttle.pass();
      if (passed) log.warn({ dropped: 1 + (passed.unlogged ?? 0), most: most() }, 'too many pending connections');
    });
    descriptors.reclaimFrom(this.#pending);
  }

  readonly connected = (socket: Socket): void => {
    this.#options.descriptors.taken();
    this.#pending.add(socket);
  };

  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    this.#pending.touch(request.socket);
    if (this.#oneRequest.accepts(request.socket)) this.#respond(request, response);
  };

  readonly expectation = (request: IncomingMessage, response: ServerResponse): void => {
    if (!this.#oneRequest.accepts(request.socket)) return;
    this.#oneRequest.begin(request.socket, response);
    send(response, EXPECTATION_FAILED);
  };

  /** There are no tunnels here; without a listener, Node would close without an answer. */
  readonly tunnel = (request: IncomingMessage, socket: Socket): void => {
    if (this.#takeOver(socket)) this.#respondOnSocket(request, socket);
  };

  readonly upgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    if (!this.#takeOver(socket)) return;
    const { webSockets, descriptors } = this.#options;
    const to = target(request.url ?? '', webSockets?.basePath);
    if (webSockets && to.kind === 'webSocket' && asksForWebSocket(request)) {
      this.#pending.remove(socket);
      const noDescriptors = descriptors.areUsedUp;
      if (descriptors.areScarce) this.#pending.makeRoom();
      const { method, rawHeaders } = request;
      const headers = readHeaders(rawHeaders);
      webSockets.onUpgrade({ request, socket, head }, { method, headers, peer: socket.remoteAddress, noDescriptors, ...to });
    } else {
      this.#respondOnSocket(request, socket);
    }
  };

  readonly broken = ({ code }: NodeJS.ErrnoException, socket: Duplex): void => {
    refuse(socket, clientRefusal(code));
  };

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const { pages, log, webSockets } = this.#options;
    this.#oneRequest.begin(request.socket, response);
    void answerTo(request, pages, webSockets?.basePath)
      .catch((error: unknown): Refusal => {
        log.error({ err: error }, 'request failed');
        return INTERNAL;
      })
      .then((answer) => {
        send(response, answer);
      });
  }

  /** Node has removed its listeners from the socket, that for errors too, and the client may be gone already. */
  #takeOver(socket: Socket): boolean {
    socket.on('error', destroy);
    return this.#oneRequest.accepts(socket);
  }

  /**
   * Node hands over the socket for `CONNECT` and for any `Upgrade` header. An upgrade to another protocol is ignored (RFC 9110 section 7.8) and
   * answered as a plain request.
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
  // RFC 6455 section 4.1 allows 1.1 "or higher", but no higher version is spoken here.
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

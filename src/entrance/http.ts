import { STATUS_CODES, ServerResponse, createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HalfOpen } from './half-open.js';
import type { Logger } from '../log.js';
import {
  INTERNAL,
  NOT_FOUND,
  NO_HOST,
  UPGRADE_REQUIRED,
  methodNotAllowed,
  target,
  type Refusal,
  type UpgradeRequest,
} from './request.js';
import type { Upgrade } from './websocket.js';

/** A page of plain HTTP: what GET answers. */
export type Page = () => Answer | Promise<Answer>;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpOptions {
  readonly pages: ReadonlyMap<string, Page>;
  readonly log: Logger;
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

/**
 * So many connections may be no WebSockets, or not yet: more than all that come back at once after an outage, so that of those who send their
 * request at once nobody is among the oldest. Each takes 5 to 50 KB.
 */
const MAX_HALF_OPEN = 12_288;

/** Connections that had to make room are logged at most so often. */
const COMPLAINT_INTERVAL_MS = 60_000;

export const JSON_TYPE = 'application/json';

/**
 * Nothing here is a page to look at: no browser shall guess a type, run anything, put it into a frame or into another site's page,
 * or keep what is true for this moment alone.
 */
const GUARDS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
} as const;

const EXPECTATION_FAILED: Refusal = { status: 417, code: 'expectation_failed', message: 'the expectation is not met here' };

/** The HTTP side of the service: pages, refusals, and upgrades passed on. */
export function httpServer({ pages, log, headersTimeoutMs, webSockets }: HttpOptions): Server {
  const turns = new Turns();
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    turns.begin(request.socket, response);
    void answerTo(request, pages, webSockets?.basePath)
      .catch((error: unknown): Refusal => {
        log.error({ err: error }, 'page failed');
        return INTERNAL;
      })
      .then((answer) => {
        send(response, answer);
      });
  };
  const server = createServer({
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    // Node looks for slow requests only so often.
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 10),
    // Asked for below, so that the answer is ours.
    requireHostHeader: false,
  });
  const halfOpen = new HalfOpen(MAX_HALF_OPEN, complaint(log));
  server.on('connection', (socket) => {
    halfOpen.enter(socket);
  });
  server.on('request', (request, response) => {
    halfOpen.touch(request.socket);
    if (turns.isNext(request.socket)) respond(request, response);
  });
  server.on('checkExpectation', (request, response: ServerResponse) => {
    if (!turns.isNext(request.socket)) return;
    turns.begin(request.socket, response);
    send(response, EXPECTATION_FAILED);
  });
  // Node gives up the socket, its listener for errors included, and the client may be gone already.
  const takeOver = (socket: Socket): boolean => {
    socket.on('error', destroy);
    return turns.isNext(socket);
  };
  // Nothing is a tunnel here; without a listener, Node would close without an answer.
  server.on('connect', (request, socket: Socket) => {
    if (takeOver(socket)) respondOnSocket(request, socket, respond);
  });
  server.on('upgrade', (request, socket: Socket, head) => {
    if (!takeOver(socket)) return;
    const place = target(request.url ?? '', webSockets?.basePath);
    if (webSockets && place.kind === 'webSocket' && asksForWebSocket(request)) {
      halfOpen.leave(socket);
      const { method, headersDistinct: headers } = request;
      webSockets.onUpgrade({ request, socket, head }, { method, headers, peer: socket.remoteAddress, ...place });
    } else {
      respondOnSocket(request, socket, respond);
    }
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(socket, clientRefusal(error.code));
  });
  return server;
}

/**
 * A connection has one request at a time. Whoever sends another before the answer is cut off: a packet of them would have a
 * thousand answers made, and behind an upgrade an answer would be read as frames.
 */
class Turns {
  readonly #unanswered = new WeakSet<Duplex>();

  isNext(socket: Duplex): boolean {
    const isNext = !this.#unanswered.has(socket);
    if (!isNext) socket.destroy();
    return isNext;
  }

  begin(socket: Duplex, response: ServerResponse): void {
    this.#unanswered.add(socket);
    // `writableFinished` is true before Node has let go of the answer.
    response.once('close', () => this.#unanswered.delete(socket));
  }
}

/** Says how many connections had to make room, now and then. */
function complaint(log: Logger): () => void {
  let dropped = 0;
  let lastMs = -Infinity;
  return () => {
    dropped += 1;
    const nowMs = Date.now();
    if (nowMs - lastMs < COMPLAINT_INTERVAL_MS) return;
    log.warn({ dropped, most: MAX_HALF_OPEN }, 'too many half-open connections');
    [dropped, lastMs] = [0, nowMs];
  };
}

/** Refuses on a bare socket, where there is no response to write to. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, contentType, body, headers } = { ...refusalAnswer(refusal), headers: refusal.headers ?? {} };
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries({ ...GUARDS, ...headers }).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

async function answerTo(request: IncomingMessage, pages: ReadonlyMap<string, Page>, basePath?: string): Promise<RefusalOrAnswer> {
  const { method, url = '' } = request;
  if (!hasOneHost(request)) return NO_HOST;
  const place = target(url, basePath);
  if (place.kind === 'webSocket') return method === 'GET' || method === 'HEAD' ? UPGRADE_REQUIRED : methodNotAllowed(['GET']);
  const page = pages.get(place.path);
  if (page === undefined) return NOT_FOUND;
  return method === 'GET' || method === 'HEAD' ? page() : methodNotAllowed(['GET', 'HEAD']);
}

/** RFC 9112 section 3.2; before HTTP/1.1 there may be none. */
function hasOneHost({ headersDistinct: { host = [] }, httpVersion }: IncomingMessage): boolean {
  return host.length === 1 || (host.length === 0 && httpVersion !== '1.1');
}

type RefusalOrAnswer = Refusal | Answer;

function send(response: ServerResponse, outcome: RefusalOrAnswer): void {
  const { status, contentType, body } = 'body' in outcome ? outcome : refusalAnswer(outcome);
  const headers = 'headers' in outcome ? outcome.headers : {};
  response.writeHead(status, {
    ...GUARDS,
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

/** What is told to whom was refused: a JSON body. */
export function refusalAnswer({ status, code, message }: Refusal): Answer {
  return { status, contentType: JSON_TYPE, body: JSON.stringify({ error: { code, message } }) };
}

function asksForWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  // RFC 6455 section 4.1 has 1.1 "or higher", but what is higher is not spoken here, whatever the request line says.
  return headers.upgrade?.toLowerCase() === 'websocket' && httpVersion === '1.1';
}

/** Node hands over the socket for `CONNECT` and for any `Upgrade` header; one that is not ours is ignored (RFC 9110 section 7.8) and answered as if it were not there. */
function respondOnSocket(
  request: IncomingMessage,
  socket: Socket,
  respond: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.on('finish', () => {
    socket.destroySoon();
  });
  respond(request, response);
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

import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { NOT_FOUND, NO_HOST, UPGRADE_REQUIRED, methodNotAllowed, readHeaders, target, type Refusal } from './request.js';

/** A page of plain HTTP: what GET answers. */
export type Page = () => Answer | Promise<Answer>;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

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

/** What a request that is no upgrade gets. Rejects where its page fails. */
export async function answerTo(
  request: IncomingMessage,
  pages: ReadonlyMap<string, Page>,
  basePath?: string,
): Promise<RefusalOrAnswer> {
  const { method, url = '' } = request;
  if (!hasOneHost(request)) return NO_HOST;
  const place = target(url, basePath);
  if (place.kind === 'webSocket') return method === 'GET' || method === 'HEAD' ? UPGRADE_REQUIRED : methodNotAllowed(['GET']);
  const page = pages.get(place.path);
  if (page === undefined) return NOT_FOUND;
  return method === 'GET' || method === 'HEAD' ? page() : methodNotAllowed(['GET', 'HEAD']);
}

/** RFC 9112 section 3.2; before HTTP/1.1 there may be none. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  const { host = [] } = readHeaders(rawHeaders);
  return host.length === 1 || (host.length === 0 && httpVersion !== '1.1');
}

export type RefusalOrAnswer = Refusal | Answer;

/** Writes it, in a response. */
export function send(response: ServerResponse, outcome: RefusalOrAnswer): void {
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

import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { readHeaders, target } from './request.js';
import { NOT_FOUND, NO_HOST, UPGRADE_REQUIRED, methodNotAllowed, type Refusal } from './refusal.js';

/** Makes the answer to a GET. */
export type Page = () => Answer | Promise<Answer>;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export const JSON_TYPE = 'application/json';

/**
 * Answers are not for display: no browser may guess their type, run them, frame them, embed them in another site's page,
 * or cache what is true for this moment only.
 */
const GUARDS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
} as const;

/** Answers a request that is not an upgrade. Rejects where its page fails. */
export async function answerTo(
  request: IncomingMessage,
  pages: ReadonlyMap<string, Page>,
  basePath?: string,
): Promise<RefusalOrAnswer> {
  const { method, url = '' } = request;
  if (!hasOneHost(request)) return NO_HOST;
  const to = target(url, basePath);
  if (to.kind === 'webSocket') return method === 'GET' || method === 'HEAD' ? UPGRADE_REQUIRED : methodNotAllowed(['GET']);
  const page = pages.get(to.path);
  if (page === undefined) return NOT_FOUND;
  return method === 'GET' || method === 'HEAD' ? page() : methodNotAllowed(['GET', 'HEAD']);
}

/** RFC 9112 section 3.2; before HTTP/1.1 there may be none. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  const { host = [] } = readHeaders(rawHeaders);
  return host.length === 1 || (host.length === 0 && httpVersion !== '1.1');
}

export type RefusalOrAnswer = Refusal | Answer;

/** Writes an answer to a response. */
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

/** A refusal as an answer with a JSON body. */
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

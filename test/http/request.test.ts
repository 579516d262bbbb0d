import { describe, expect, test } from '@jest/globals';
import { readNetworks } from '../../src/http/address.js';
import { admit, target, type OriginPolicy, type Headers, type Occupancy, type UpgradeRequest } from '../../src/http/request.js';
import {
  FORBIDDEN,
  NOT_FOUND,
  UPGRADE_REQUIRED,
  isRefusal,
  methodNotAllowed,
  unauthorized,
  type Refusal,
} from '../../src/http/refusal.js';

const BASE = '/api/chat-api';
const roomy: Occupancy = { draining: false, full: false };
const open: OriginPolicy = { origins: '*', trusted: undefined };
const plain: UpgradeRequest = {
  method: 'GET',
  headers: { host: ['chat.example'] },
  peer: '192.0.2.1',
  segment: 'tea',
  query: '',
};

function judge(request: Partial<UpgradeRequest>, occupancy = roomy, border = open): readonly string[] | Refusal {
  return admit({ ...plain, ...request }, occupancy, border);
}

describe('what a request is for', () => {
  test.each<[url: string, segment: string | undefined, query: string]>([
    ['/api/chat-api/ws', undefined, ''],
    ['/api/chat-api/ws/tea', 'tea', ''],
    ['/api/chat-api/ws?room=a&room=b', undefined, 'room=a&room=b'],
    ['/api/chat-api/ws/tea?room=a', 'tea', 'room=a'],
    ['/ws', undefined, ''],
    ['/ws/tea', 'tea', ''],
    ['/ws?room=a', undefined, 'room=a'],
    ['/ws/tea?x=/ws/milk?y', 'tea', 'x=/ws/milk?y'],
    ['/ws?', undefined, ''],
    ['/ws/', '', ''],
    ['/ws//', '/', ''],
    ['/ws/a/b', 'a/b', ''],
    ['/ws/../healthz', '../healthz', ''],
    ['/ws/.', '.', ''],
    ['/ws/a%2Fb', 'a%2Fb', ''],
    ['/ws/tea/', 'tea/', ''],
  ])('%s is for a WebSocket', (url, segment, query) => {
    expect(target(url, BASE)).toStrictEqual({ kind: 'webSocket', segment, query });
  });

  test.each<[url: string, path: string]>([
    ['/healthz', '/healthz'],
    ['/metrics?x=1', '/metrics'],
    ['/', '/'],
    ['', ''],
    ['*', '*'],
    ['/wsx', '/wsx'],
    ['/WS', '/WS'],
    ['/ws%2Ftea', '/ws%2Ftea'],
    ['/%77s', '/%77s'],
    ['//ws', '//ws'],
    ['//ws/tea', '//ws/tea'],
    ['/./ws', '/./ws'],
    ['/x/../ws', '/x/../ws'],
    ['/api/chat-api', '/api/chat-api'],
    ['/api/chat-api/../ws', '/api/chat-api/../ws'],
    ['/api/chat-api//ws', '/api/chat-api//ws'],
    ['/api/chat-api/healthz', '/api/chat-api/healthz'],
    ['/api/other/ws', '/api/other/ws'],
    ['?room=a', ''],
  ])('%p is for the page %p: no path is normalised', (url, path) => {
    expect(target(url, BASE)).toStrictEqual({ kind: 'page', path });
  });

  test('another base path moves the endpoint, and /ws stays', () => {
    expect(target('/chat/ws/tea', '/chat')).toMatchObject({ kind: 'webSocket', segment: 'tea' });
    expect(target('/ws/tea', '/chat')).toMatchObject({ kind: 'webSocket', segment: 'tea' });
    expect(target('/api/chat-api/ws/tea', '/chat')).toMatchObject({ kind: 'page' });
  });
});

describe('an upgrade', () => {
  test.each<[what: string, segment: string | undefined, query: string, rooms: readonly string[]]>([
    ['no room', undefined, '', []],
    ['a room', 'tea', '', ['tea']],
    ['rooms of path and query', 'tea', 'room=milk&room=tea', ['tea', 'milk']],
  ])('into %s is let in', (_, segment, query, rooms) => {
    const verdict = judge({ segment, query });
    expect(verdict).toStrictEqual(rooms);
    expect(isRefusal(verdict)).toBe(false);
  });

  test.each<[what: string, segment: string | undefined, query: string]>([
    ['no name', '', ''],
    ['a path', 'a/b', ''],
    ['dots', '..', ''],
    ['bad percent-encoding', '%zz', ''],
    ['bad percent-encoding in the query', undefined, 'room=%zz'],
    ['101 names', undefined, Array.from({ length: 101 }, (_, n) => `room=r${n}`).join('&')],
  ])('into a room called by %s gets a 400', (_, segment, query) => {
    const verdict = judge({ segment, query });
    expect(verdict).toStrictEqual({ status: 400, code: 'bad_room', message: expect.any(String) });
  });

  test.each(['POST', 'HEAD', 'CONNECT', 'get', undefined])('with the method %p gets a 405 with Allow', (method) => {
    expect(judge({ method })).toMatchObject({ status: 405, headers: { Allow: 'GET' } });
  });

  test.each<[what: string, occupancy: Occupancy, code: string]>([
    ['is draining', { ...roomy, draining: true }, 'draining'],
    ['is full', { ...roomy, full: true }, 'overloaded'],
    ['is draining and full', { draining: true, full: true }, 'draining'],
  ])('to a pod that %s gets a 503 with Retry-After, whatever else is wrong with it', (_, occupancy, code) => {
    const headers = { ...plain.headers, origin: ['https://evil.example'], 'content-length': ['5'] };
    expect(judge({ headers, segment: '..' }, occupancy, { ...open, origins: 'same-origin' })).toMatchObject({
      status: 503,
      code,
      headers: { 'Retry-After': expect.stringMatching(/^\d+$/) },
    });
  });

  test.each<[what: string, headers: Headers]>([
    ['no Host', {}],
    ['two Hosts', { host: ['chat.example', 'chat.example'] }],
    ['a body', { ...plain.headers, 'content-length': ['5'] }],
    ['a body of no known length', { ...plain.headers, 'content-length': ['x'] }],
    ['two lengths', { ...plain.headers, 'content-length': ['0', '5'] }],
    ['chunks', { ...plain.headers, 'transfer-encoding': ['chunked'] }],
  ])('with %s gets a 400', (_, headers) => {
    expect(judge({ headers })).toMatchObject({ status: 400, code: 'bad_request' });
  });

  test('with a body of no bytes is let in', () => {
    expect(judge({ headers: { ...plain.headers, 'content-length': ['0'] } })).toStrictEqual(['tea']);
  });
});

describe('the origin of an upgrade', () => {
  const trusted = readNetworks('10.0.0.0/8');
  const from = (origin: string, border: Partial<OriginPolicy>, more: Headers = {}, peer = '10.0.0.1') =>
    judge({ headers: { ...plain.headers, origin: [origin], ...more }, peer }, roomy, {
      origins: 'same-origin',
      trusted,
      ...border,
    });

  test('is refused with 403 where it is not allowed, before its rooms are looked at', () => {
    const headers = { ...plain.headers, origin: ['https://evil.example'] };
    expect(judge({ headers, segment: '..' }, roomy, { ...open, origins: ['https://chat.example'] })).toMatchObject({
      status: 403,
      code: 'origin',
    });
  });

  test('is compared with X-Forwarded-Host of a trusted proxy', () => {
    expect(from('https://public.example', {}, { 'x-forwarded-host': ['public.example'] })).toStrictEqual(['tea']);
    expect(from('https://public.example', {}, { 'x-forwarded-host': ['public.example, inner.example'] })).toStrictEqual(['tea']);
    expect(from('https://chat.example', {}, { 'x-forwarded-host': ['public.example'] })).toStrictEqual(['tea']);
  });

  test.each<[whom: string, peer: string, border: Partial<OriginPolicy>]>([
    ['somebody else', '192.0.2.1', {}],
    ['anybody, where no proxy is trusted', '10.0.0.1', { trusted: undefined }],
  ])('is not compared with X-Forwarded-Host of %s', (_, peer, border) => {
    const verdict = from('https://evil.example', border, { 'x-forwarded-host': ['evil.example'] }, peer);
    expect(verdict).toMatchObject({ status: 403, code: 'origin' });
  });
});

test('a refusal for want of a token says that one is wanted; of a bad one, also what was wrong', () => {
  expect(unauthorized('a token is needed')).toMatchObject({
    status: 401,
    headers: { 'WWW-Authenticate': 'Bearer realm="chat-api"' },
  });
  expect(unauthorized('the token is expired', 'invalid_token').headers).toEqual({
    'WWW-Authenticate': 'Bearer realm="chat-api", error="invalid_token", error_description="the token is expired"',
  });
});

test('a refusal for want of a grant names no room', () => {
  expect(FORBIDDEN).toEqual({ status: 403, code: 'forbidden', message: 'the token does not grant this' });
});

test('a refusal is told from rooms', () => {
  expect([NOT_FOUND, UPGRADE_REQUIRED, methodNotAllowed(['GET', 'HEAD'])].every(isRefusal)).toBe(true);
});

test('the refusals of plain requests say what HTTP wants them to say', () => {
  expect(NOT_FOUND).toMatchObject({ status: 404 });
  expect(UPGRADE_REQUIRED).toMatchObject({ status: 426, headers: { Upgrade: 'websocket' } });
  expect(methodNotAllowed(['GET', 'HEAD'])).toMatchObject({ status: 405, headers: { Allow: 'GET, HEAD' } });
});

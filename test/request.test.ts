import { describe, expect, test } from '@jest/globals';
import {
  NOT_FOUND,
  UPGRADE_REQUIRED,
  admit,
  isRefusal,
  methodNotAllowed,
  target,
  type Occupancy,
  type UpgradeRequest,
} from '../src/request.js';

const BASE = '/api/chat-api';
const roomy: Occupancy = { draining: false, connections: 5, maxConnections: 0 };
const plain: UpgradeRequest = { lacksHost: false, method: 'GET', segment: 'tea', query: '' };

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
    const verdict = admit({ lacksHost: false, method: 'GET', segment, query }, roomy);
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
    const verdict = admit({ lacksHost: false, method: 'GET', segment, query }, roomy);
    expect(verdict).toStrictEqual({ status: 400, code: 'bad_room', message: expect.any(String) });
  });

  test.each(['POST', 'HEAD', 'CONNECT', 'get', undefined])('with the method %p gets a 405 with Allow', (method) => {
    expect(admit({ ...plain, method }, roomy)).toMatchObject({ status: 405, headers: { Allow: 'GET' } });
  });

  test.each<[what: string, occupancy: Occupancy, code: string]>([
    ['is draining', { ...roomy, draining: true }, 'draining'],
    ['is full', { draining: false, connections: 10, maxConnections: 10 }, 'overloaded'],
    ['is more than full', { draining: false, connections: 11, maxConnections: 10 }, 'overloaded'],
  ])('to a pod that %s gets a 503 with Retry-After', (_, occupancy, code) => {
    expect(admit(plain, occupancy)).toMatchObject({
      status: 503,
      code,
      headers: { 'Retry-After': expect.stringMatching(/^\d+$/) },
    });
  });

  test.each<[what: string, occupancy: Occupancy]>([
    ['with one place left', { draining: false, connections: 9, maxConnections: 10 }],
    ['without a limit', { draining: false, connections: 1_000_000, maxConnections: 0 }],
  ])('to a pod %s is let in', (_, occupancy) => {
    expect(admit(plain, occupancy)).toStrictEqual(['tea']);
  });
});

test('a refusal is told from rooms', () => {
  expect([NOT_FOUND, UPGRADE_REQUIRED, methodNotAllowed(['GET', 'HEAD'])].every(isRefusal)).toBe(true);
});

test('the refusals of plain requests say what HTTP wants them to say', () => {
  expect(NOT_FOUND).toMatchObject({ status: 404 });
  expect(UPGRADE_REQUIRED).toMatchObject({ status: 426, headers: { Upgrade: 'websocket' } });
  expect(methodNotAllowed(['GET', 'HEAD'])).toMatchObject({ status: 405, headers: { Allow: 'GET, HEAD' } });
});

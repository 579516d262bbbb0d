import { describe, expect, test } from '@jest/globals';
import type { Headers } from '../../src/http/request.js';
import { bearerToken, isSubject } from '../../src/auth/token.js';

describe('the token of a request', () => {
  test.each<[what: string, headers: Headers]>([
    ['in Authorization', { authorization: ['Bearer a.b.c'] }],
    ['whatever the case of its scheme', { authorization: ['bearer a.b.c'] }],
    ['after several spaces', { authorization: ['Bearer   a.b.c'] }],
    ['among the subprotocols', { 'sec-websocket-protocol': ['chat-api, bearer.a.b.c'] }],
    ['as the first of them', { 'sec-websocket-protocol': ['bearer.a.b.c,chat-api'] }],
    ['in a second header of them', { 'sec-websocket-protocol': ['chat-api', 'bearer.a.b.c'] }],
    ['beside credentials of another scheme', { authorization: ['Basic eDp5'], 'sec-websocket-protocol': ['bearer.a.b.c'] }],
  ])('is taken: %s', (_, headers) => {
    expect(bearerToken(headers)).toBe('a.b.c');
  });

  test.each<[what: string, headers: Headers]>([
    ['nowhere', {}],
    ['of another scheme', { authorization: ['Basic eDp5'] }],
    ['of a scheme that begins alike', { authorization: ['BearerX a.b.c'] }],
    ['without one behind the scheme', { authorization: ['Bearer'] }],
    ['without one behind the scheme but a space', { authorization: ['Bearer '] }],
    ['among the subprotocols, called otherwise', { 'sec-websocket-protocol': ['chat-api, Bearer.a.b.c, token.a.b.c'] }],
  ])('is wanting: %s', (_, headers) => {
    expect(bearerToken(headers)).toMatchObject({ status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="chat-api"' } });
  });

  test.each<[what: string, headers: Headers]>([
    ['in both places', { authorization: ['Bearer a.b.c'], 'sec-websocket-protocol': ['bearer.a.b.c'] }],
    ['twice in Authorization', { authorization: ['Bearer a.b.c', 'Bearer a.b.c'] }],
    ['beside a second Authorization', { authorization: ['Basic eDp5', 'Bearer a.b.c'] }],
    ['twice among the subprotocols', { 'sec-websocket-protocol': ['bearer.a.b.c, bearer.d.e.f'] }],
  ])('is one too many: %s', (_, headers) => {
    const refusal = bearerToken(headers);
    expect(refusal).toMatchObject({ status: 401, code: 'unauthorized' });
    expect(JSON.stringify(refusal)).toContain('invalid_request');
    expect(JSON.stringify(refusal)).not.toContain('a.b.c');
  });
});

describe('a subject', () => {
  test.each(['ada', 'auth0|5f7c', 'Ada Lovelace', 'été', 'Server', 'a'.repeat(255), '🍵'.repeat(63)])('may be %p', (sub) => {
    expect(isSubject(sub)).toBe(true);
  });

  test.each([undefined, null, 1, {}, '', 'server', 'a\nb', 'a\u0000', '\u0085', '\ud83c', 'a'.repeat(256), '🍵'.repeat(64)])(
    'may not be %p',
    (sub) => {
      expect(isSubject(sub)).toBe(false);
    },
  );
});

import { describe, expect, test } from '@jest/globals';
import { authorizeByClaims, matches, type Grant } from '../../src/auth/grant.js';

function granted(claims: Readonly<Record<string, unknown>>): Grant | undefined {
  return authorizeByClaims({ subject: 'ada', claims, expiresAtMs: 0 });
}

/** Which of some rooms may be read, which written to, and whether everybody may be written to. */
function summary(claims: Readonly<Record<string, unknown>>): unknown {
  const grant = granted(claims);
  if (!grant) return undefined;
  const rooms = ['tea', 'team-a', 'team-b', 'hall'];
  return [
    rooms.filter((room) => grant.mayJoin(room)).join(' '),
    rooms.filter((room) => grant.mayPublish(room)).join(' '),
    grant.mayPublishGlobally(),
  ];
}

describe('claims grant', () => {
  test.each<[what: string, claims: Readonly<Record<string, unknown>>, read: string, publish: string, globally: boolean]>([
    ['every room, and nothing global, where they are absent', {}, 'tea team-a team-b hall', 'tea team-a team-b hall', false],
    ['the rooms named, to read and to write', { rooms: ['tea', 'hall'] }, 'tea hall', 'tea hall', false],
    ['the rooms that a pattern covers', { rooms: ['team-*'] }, 'team-a team-b', 'team-a team-b', false],
    ['fewer to write to', { rooms: ['team-*', 'hall'], publish: ['hall'] }, 'team-a team-b hall', 'hall', false],
    ['none to write to', { publish: [] }, 'tea team-a team-b hall', '', false],
    ['no room', { rooms: [] }, '', '', false],
    ['global sending', { global: true, rooms: [] }, '', '', true],
    ['no global sending', { global: false }, 'tea team-a team-b hall', 'tea team-a team-b hall', false],
    ['no more for other claims', { rooms: ['tea'], admin: true, scope: '*' }, 'tea', 'tea', false],
  ])('%s', (_, claims, read, publish, globally) => {
    expect(summary(claims)).toEqual([read, publish, globally]);
  });

  test.each([
    { rooms: 'tea' },
    { rooms: null },
    { rooms: {} },
    { rooms: [1] },
    { rooms: ['tea', null] },
    { rooms: [['tea']] },
    { publish: '*' },
    { publish: null },
    { global: 'true' },
    { global: 1 },
    { global: null },
  ])('nothing at all where they have another shape: %p', (claims) => {
    expect(granted(claims)).toBeUndefined();
  });
});

describe('a pattern', () => {
  test.each([
    ['tea', 'tea'],
    ['*', 'tea'],
    ['*', ''],
    ['**', 'tea'],
    ['t*', 'tea'],
    ['t*', 't'],
    ['*a', 'tea'],
    ['t*a', 'tea'],
    ['t*a', 'ta'],
    ['*e*', 'tea'],
    ['a*b*c', 'aXbXbXc'],
    ['a*ab', 'aab'],
    ['*ab*ab', 'abab'],
    ['a*b', 'a*b'],
    ['tea.*', 'tea.green'],
    ['été*', 'été 🍵'],
  ])('%s matches %p', (pattern, name) => {
    expect(matches(pattern, name)).toBe(true);
  });

  test.each([
    ['tea', 'teas'],
    ['tea', 'tre'],
    ['', 'tea'],
    ['Tea', 'tea'],
    ['t*a', 't'],
    ['a*a', 'a'],
    ['ab*ba', 'aba'],
    ['*ab*ab', 'aab'],
    ['a*b*c', 'acb'],
    ['t?a', 'tea'],
    ['t.a', 'tea'],
    ['[t]ea', 'tea'],
    ['tea.*', 'teaXgreen'],
    ['^tea$', 'tea'],
    ['\\*', '*x'],
  ])('%s does not match %p', (pattern, name) => {
    expect(matches(pattern, name)).toBe(false);
  });

  test('made to be slow is not', () => {
    const startedMs = performance.now();
    expect(matches(`${'*a'.repeat(4000)}*b`, 'a'.repeat(128))).toBe(false);
    expect(matches(`${'a*'.repeat(4000)}b`, 'a'.repeat(128))).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(100);
  });
});

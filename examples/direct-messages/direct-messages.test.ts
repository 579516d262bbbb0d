import { describe, test } from '@jest/globals';
import { builtInHandlers, join, publish, reject } from 'chat-api';
import { error, joined, testConversation, testHandler, welcome, type Heard } from 'chat-api/testing';
import { authorizeMailboxes, dm, inbox } from './direct-messages.js';

test('a direct message goes to the mailboxes of both, the sender in none of which need be', () => {
  const data = { to: 'bob', content: 'psst' };
  testHandler(
    dm,
    `
      says     -a-------x-
      effects  -(ba)----x-
    `,
    {
      identity: 'alice',
      says: { a: { id: 'one', data }, x: { data: { to: '', content: 'nobody' } } },
      effects: {
        b: publish({ type: 'dm', room: '@bob', data, id: 'one' }, { outside: true }),
        a: publish({ type: 'dm', room: '@alice', data, id: 'one' }, { outside: true }),
        x: reject('invalid_message', 'data/to must not have fewer than 1 characters'),
      },
    },
  );
});

test('an inbox is that of the connection’s identity', () => {
  testHandler(
    inbox,
    `
      says     -a-
      effects  -j-
    `,
    { identity: 'alice', says: { a: {} }, effects: { j: join(['@alice']) } },
  );
});

describe('a conversation', () => {
  const everybody = { claims: { rooms: ['tea'], publish: ['tea'] }, rooms: ['tea'] };
  const psst: Heard = { type: 'dm', from: 'alice', data: { to: 'bob', content: 'psst' } };

  test('between two has no third, on whichever pods and devices the two are', () => {
    testConversation(
      `
        alice        -i----d---
        alice hears  wA----d---
        phone        --i-------
        phone hears  w-B---d---
        table        ---i------
        table hears  w--B--d---
        carol        ----i-----
        carol hears  w---C-----
      `,
      {
        pods: ['one', 'two'],
        connections: {
          alice: everybody,
          phone: { ...everybody, identity: 'bob' },
          table: { ...everybody, identity: 'bob', pod: 'two' },
          carol: everybody,
        },
        says: { i: { type: 'inbox' }, d: { type: 'dm', data: { to: 'bob', content: 'psst' } } },
        hears: { w: welcome, A: joined('@alice'), B: joined('@bob'), C: joined('@carol'), d: psst },
        handlers: [...builtInHandlers, inbox, dm],
        authorize: authorizeMailboxes,
      },
    );
  });

  test('is not to be overheard: nobody talks in a mailbox as if it were a room', () => {
    testConversation(
      `
        alice        -i----d
        alice hears  wA----d
        carol        ---c---
        carol hears  w--x---
      `,
      {
        connections: { alice: everybody, carol: everybody },
        says: {
          i: { type: 'inbox' },
          d: { type: 'dm', data: { to: 'bob', content: 'psst' } },
          c: { type: 'chat', room: '@alice', data: { content: 'it is me' } },
        },
        hears: { w: welcome, A: joined('@alice'), d: psst, x: error('not_in_room') },
        handlers: [...builtInHandlers, inbox, dm],
        authorize: authorizeMailboxes,
      },
    );
  });
});

test('a mailbox opens for its owner alone', () => {
  const grant = authorizeMailboxes({ subject: 'carol', claims: { rooms: ['*'] }, expiresAtMs: Infinity });
  const mayJoin = ['@carol', '@alice', 'tea'].filter((room) => grant?.mayJoin(room));
  if (mayJoin.join() !== '@carol,tea') throw new Error(`carol may read ${mayJoin.join()}`);
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  builtInHandlers,
  handler,
  memoryBroker,
  perMessage,
  publish,
  reject,
  middleware,
  type Envelope,
  type Publication,
} from 'chat-api';
import {
  brokerContract,
  envelope,
  error,
  gap,
  testConversation,
  testHandler,
  testOperator,
  testMiddleware,
  welcome,
  type ContractSetup,
} from 'chat-api/testing';
import { Subject, debounceTime, filter, map, throttleTime, type Observable } from 'rxjs';
import Type from 'typebox';
import { failing } from '../support/failing.js';

// The code of docs/testing.md, in its order and word for word; the last test holds the two together.

const typing = handler('typing', Type.Object({}), (message$, { scheduler }) =>
  message$.pipe(
    throttleTime(3000, scheduler),
    map(({ room }) => publish({ type: 'typing', room })),
  ),
);

test('publishes typing at most once in three seconds', () => {
  testHandler(
    typing,
    `
      says     -k-k--k- 3s k--k-
      effects  -t------ 3s t----
    `,
    {
      says: { k: { data: {} } },
      effects: { t: publish({ type: 'typing' }) },
    },
  );
});

function tooEarly(): void {
  testHandler(
    typing,
    `
      says     -k- 2s k
      effects  -t- 2s t
    `,
    { says: { k: { data: {} } }, effects: { t: publish({ type: 'typing' }) } },
  );
}

/** @param isFine$ asks a moderator and emits one answer */
function moderated(isFine$: (text: string) => Observable<boolean>) {
  return handler('post', Type.Object({ text: Type.String() }), (message$) =>
    message$.pipe(
      perMessage(({ data, room }) =>
        isFine$(data.text).pipe(
          map((isFine) => (isFine ? publish({ type: 'post', room, data }) : reject('forbidden', 'not like this'))),
        ),
      ),
    ),
  );
}

test('publishes a post after its verdict, one post at a time', () => {
  testHandler(
    ({ cold }) => moderated((text) => cold('verdict', '----(v|)', { v: text !== 'damn' })),
    `
      says     -ad--------a--!
      verdict  -^---!-----^--!
      verdict  -----^---!-----
      effects  -----a---d-----
    `,
    {
      says: { a: { data: { text: 'hi' } }, d: { id: 'one', data: { text: 'damn' } } },
      effects: {
        a: publish({ type: 'post', data: { text: 'hi' } }),
        d: reject('forbidden', 'not like this', 'one'),
      },
    },
  );
});

const quiet = middleware('quiet', (message$, handle) =>
  message$.pipe(
    filter(({ room }) => room !== 'library'),
    handle,
  ),
);

test('drops messages to the library', () => {
  testMiddleware(
    quiet,
    `
      says     -a-b-
      effects  -a---
    `,
    {
      says: { a: { room: 'tea', data: { content: 'hi' } }, b: { room: 'library', data: { content: 'hi' } } },
      effects: { a: publish({ type: 'chat', room: 'tea', data: { content: 'hi' } }) },
    },
  );
});

test('delivers typing to all members of the room, on both pods', () => {
  testConversation(
    `
      alice        -k-- 3s k--
      alice hears  wk-- 3s k--
      bob          --^- 3s --!
      bob hears    --w- 3s k--
      carol hears  w--- 3s ---
    `,
    {
      pods: ['one', 'two'],
      connections: {
        alice: { rooms: ['tea'] },
        bob: { rooms: ['tea'], pod: 'two' },
        carol: { rooms: ['milk'] },
      },
      handlers: [...builtInHandlers, typing],
      says: { k: { type: 'typing', data: {} } },
      hears: { w: welcome, k: { type: 'typing', from: 'alice', room: 'tea' } },
    },
  );
});

test('refuses to publish without a broker, and sends a gap when it is back', () => {
  testConversation(
    `
      two          --!-----^--
      alice        -a---a----a
      alice hears  wa---a----a
      bob          ------b----
      bob hears    wa----x-g-a
    `,
    {
      pods: ['one', 'two'],
      connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['tea'], pod: 'two' } },
      says: {
        a: { type: 'chat', data: { content: 'hi' } },
        b: { type: 'chat', data: { content: 'anybody?' }, id: 'lost' },
      },
      hears: {
        w: welcome,
        a: { type: 'chat', from: 'alice', data: { content: 'hi' } },
        x: error('unavailable', 'lost'),
        g: gap('subscription'),
      },
    },
  );
});

const undisturbed = filter(({ type }: Envelope) => type !== 'typing');

test('removes typing', () => {
  testOperator(
    () => undisturbed,
    `
      source  -c-t-c-|
      output  -c---c-|
      subs    ^------!
    `,
    {
      source: { c: envelope({ type: 'chat' }), t: envelope({ type: 'typing' }) },
      output: { c: envelope({ type: 'chat' }) },
    },
  );
});

test('removes typing for alice only', () => {
  testConversation(
    `
      alice        -k--c
      alice hears  w---c
      bob hears    wk--c
    `,
    {
      connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['tea'] } },
      handlers: [...builtInHandlers, typing],
      transform: ({ identity }) => (identity === 'alice' ? undisturbed : undefined),
      says: { k: { type: 'typing', data: {} }, c: { type: 'chat', data: { content: 'hi' } } },
      hears: {
        w: welcome,
        k: { type: 'typing', from: 'alice' },
        c: { type: 'chat', from: 'alice', data: { content: 'hi' } },
      },
    },
  );
});

for (const { name, run } of brokerContract(createPods)) test(`my broker: ${name}`, run);

function createPods(): Promise<ContractSetup> {
  const medium = new Subject<Publication>();
  return Promise.resolve({
    pods: [memoryBroker(medium), memoryBroker(medium)],
    end: () => Promise.resolve(),
  });
}

test('emits a word when nothing was typed for three milliseconds', () => {
  testOperator(
    ({ runtime }) => debounceTime(3, runtime.scheduler),
    `
      source  -a-b------c-|
      output  ------b-----(c|)
      subs    ^-----------!
    `,
  );
});

describe('docs/testing.md', () => {
  const page = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
  const code = readFileSync(new URL(import.meta.url), 'utf8');
  const importLine = /^import (?:type )?(.*?) from '(.*?)';$/gms;

  function blocks(language: string): readonly string[] {
    return Array.from(page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms')), ([, block = '']) => block);
  }

  /** What a text imports, as `name from module`. */
  function imports(text: string): readonly string[] {
    return Array.from(text.matchAll(importLine), ([, names = '', from]) =>
      Array.from(names.replaceAll(/\btype\b/g, '').matchAll(/\w+/g), ([name]) => `${name} from ${from}`),
    ).flat();
  }

  test('has no code but that of this file', () => {
    for (const block of blocks('ts')) expect(code).toContain(block.replaceAll(importLine, '').trim());
    expect(blocks('ts')).toHaveLength(10);
  });

  test('imports what this file does', () => {
    const missing = blocks('ts')
      .flatMap(imports)
      .filter((one) => !imports(code).includes(one));
    expect(missing).toEqual([]);
    expect(imports(page).length).toBeGreaterThan(15);
  });

  test('shows the failure that a test prints', () => {
    expect(blocks('text')).toEqual([`${failing(tooEarly)}\n`]);
  });
});

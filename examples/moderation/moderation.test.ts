import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { publish, reject, type ClientMessage } from 'chat-api';
import { testHandler, type Kit } from 'chat-api/testing';
import { EMPTY, firstValueFrom } from 'rxjs';
import { httpModerator, moderatedChat, type Moderator } from './moderation.js';

const chat = (content: string) => ({ id: content, type: 'chat', data: { content } }) satisfies ClientMessage;

const legend = {
  says: { a: chat('fine'), b: chat('bad'), s: chat('slow'), f: chat('failing'), n: chat('never answered') },
  effects: {
    a: publish(chat('fine')),
    b: reject('forbidden', 'not here', 'bad'),
    s: publish(chat('slow')),
    f: reject('unavailable', 'the handler failed', 'failing'),
    n: reject('unavailable', 'the handler failed', 'never answered'),
    q: reject('unavailable', 'too many messages of this type wait', 'fine'),
  },
};

/** A moderator that takes its time. */
function answering({ cold }: Kit): Moderator {
  const answers: Record<string, ReturnType<Moderator>> = {
    fine: cold('fine', '10ms (y|)', { y: true }),
    bad: cold('bad', '10ms (n|)', { n: false }),
    slow: cold('slow', '50ms (y|)', { y: true }),
    failing: cold('failing', '#'),
    'never answered': cold('never', '-'),
  };
  return (content) => answers[content] ?? EMPTY;
}

test('what the moderator likes is published, what it does not like is refused, one message after the other', () => {
  const { counted } = testHandler(
    (kit) => moderatedChat({ ask: answering(kit) }),
    `
      says     -sb
      effects  -- 49ms s 9ms b
      slow     -^ 49ms !
      bad      -- 49ms ^ 9ms !
    `,
    legend,
  );
  expect(counted).toEqual({ 'chat passed': 1, 'chat refused': 1 });
});

test('several at once are answered as the answers come', () => {
  testHandler(
    (kit) => moderatedChat({ ask: answering(kit), concurrency: 2 }),
    `
      says     -sb
      effects  -- 10ms b 38ms s
    `,
    legend,
  );
});

test('a moderator that fails, or takes longer than a second, costs its own message an error', () => {
  testHandler(
    (kit) => moderatedChat({ ask: answering(kit) }),
    `
      says     -fna
      effects  -f 1000ms n 9ms a
      never    --^ 999ms !
    `,
    legend,
  );
});

test('16 messages wait, and who sends more is told', () => {
  testHandler(
    (kit) => moderatedChat({ ask: answering(kit) }),
    `
      says     n(aaaaaaaaaaaaaaaaa)
      effects  -q 998ms n 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a 9ms a
    `,
    legend,
  );
});

test('who goes is not asked about any more', () => {
  testHandler(
    (kit) => moderatedChat({ ask: answering(kit) }),
    `
      says     -n 99ms !
      effects  --
      never    -^ 99ms !
      subs     -^ 99ms !
    `,
    legend,
  );
});

test('over HTTP, 200 is yes, 403 is no, and anything else an error', async () => {
  const statuses: Readonly<Record<string, number>> = { fine: 200, bad: 403 };
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (body: string) => {
      const { content } = JSON.parse(body) as { readonly content: string };
      response.writeHead(statuses[content] ?? 500).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ask = httpModerator(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    expect(await firstValueFrom(ask('fine'))).toBe(true);
    expect(await firstValueFrom(ask('bad'))).toBe(false);
    await expect(firstValueFrom(ask('odd'))).rejects.toThrow('the moderator answered 500');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

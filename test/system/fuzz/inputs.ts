import fc, { type Arbitrary } from 'fast-check';

/** What a client may send: mostly nearly right, for what is far from right is refused at the first look. */

const WORDS = ['', 'x', 'hello', 'refuse', 'doubt', '🍵', '\ud83c', '\u0000', '__proto__', 'constructor', 'server'];
const KEYS = ['type', 'room', 'data', 'id', 'from', 'content', '__proto__', 'constructor', 'toJSON', 'x', ''];
const IDS = [
  '0193a0de-7f1c-7c4e-8d5b-8a3c5d6e7f80',
  '936DA01F-9ABD-4D9D-80C7-02AF85C822A8',
  'a'.repeat(128),
  'é'.repeat(65),
  'mine',
];
const TYPES = [
  'chat',
  'chat',
  'chat',
  'chat',
  'ping',
  'pong',
  'presence',
  'notification',
  'system',
  'error',
  'shout',
  'toString',
  '',
];

const json: Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, -1.5, 1e21, 'x', ...WORDS),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 3 }),
  ),
})).value;

const nested = fc.integer({ min: 60, max: 70 }).map((levels) => `${'['.repeat(levels)}${']'.repeat(levels)}`);
const number = fc.constantFrom('1e400', '-1e400', '1e20', '9007199254740993', '-0', '1e-400');

/** A member's value as JSON, right more often than not; undefined leaves it out. */
function member(right: Arbitrary<string | undefined>): Arbitrary<string | undefined> {
  return fc.oneof({ weight: 6, arbitrary: right }, { weight: 1, arbitrary: json.map((value) => JSON.stringify(value)) });
}

const written = (values: readonly string[]) => fc.constantFrom(...values).map((value) => JSON.stringify(value));

const data = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(written(WORDS), json).map(([content, x]) => `{"content":${content},"x":${JSON.stringify(x)}}`),
  },
  { weight: 1, arbitrary: fc.tuple(nested, number).map(([deep, n]) => `{"content":"x","deep":${deep},"n":${n}}`) },
  { weight: 1, arbitrary: fc.oneof(nested, number).map((value) => `{"content":"x","value":${value}}`) },
  { weight: 1, arbitrary: json.map((value) => JSON.stringify(value)) },
);

/** @param rooms those that may be named; one that it is not in among them */
export function texts(rooms: readonly string[]): Arbitrary<string> {
  const fields = fc.record({
    type: member(written(TYPES)),
    room: member(fc.option(written(['', ...rooms]), { nil: undefined, freq: 2 })),
    data: member(data),
    id: member(fc.option(written(IDS), { nil: undefined, freq: 2 })),
    more: fc.option(
      json.map((value) => JSON.stringify(value)),
      { nil: undefined, freq: 4 },
    ),
  });
  const message = fields.map((parts) => {
    const present = Object.entries(parts).filter((part): part is [string, string] => part[1] !== undefined);
    return `{${present.map(([name, value]) => `"${name}":${value}`).join(',')}}`;
  });
  const broken = fc.tuple(message, fc.nat(), fc.string({ unit: 'binary', maxLength: 2 })).map(([text, at, put]) => {
    const where = at % (text.length + 1);
    // What travels as UTF-8 has no half characters.
    return (text.slice(0, where) + put + text.slice(where + 1)).toWellFormed();
  });
  const large = fc.integer({ min: 12_000, max: 13_050 }).map((count) => `{"type":"ping","data":[${'1e20,'.repeat(count)}0]}`);
  return fc.oneof(
    { weight: 60, arbitrary: message },
    { weight: 8, arbitrary: broken },
    { weight: 4, arbitrary: fc.json({ maxDepth: 2 }) },
    { weight: 2, arbitrary: fc.constantFrom('', '{', '[]', 'null', '"chat"', '{"type":"chat"}{"type":"chat"}') },
    { weight: 1, arbitrary: large },
  );
}

/** Anything at the socket behind an upgrade: frames that are nearly right, cut and pasted. */
export const frameBytes: Arbitrary<Buffer> = fc
  .array(
    fc.oneof(
      fc
        .record({
          first: fc.oneof(fc.constantFrom(0x81, 0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8a), fc.integer({ min: 0, max: 255 })),
          masked: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
          lie: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -3, max: 70_000 }) }),
          payload: fc.oneof(
            texts(['a']).map((text) => Buffer.from(text)),
            fc.uint8Array({ maxLength: 130 }).map((bytes) => Buffer.from(bytes)),
          ),
          wide: fc.constantFrom(0, 0, 0, 126, 127),
        })
        .map(({ first, masked, lie, payload, wide }) => {
          const length = Math.max(0, payload.length + lie);
          const form = Math.max(wide, length < 126 ? 0 : length < 65_536 ? 126 : 127);
          const header = Buffer.alloc(2 + (form === 126 ? 2 : form === 127 ? 8 : 0));
          header.set([first, (masked ? 0x80 : 0) | (form === 0 ? length : form)]);
          if (form === 126) header.writeUInt16BE(length, 2);
          if (form === 127) header.writeBigUInt64BE(BigInt(length), 2);
          return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0), payload]);
        }),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => Buffer.concat(parts));

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const HEADERS = [
  ...[
    'Host: h',
    'Host: i',
    'Upgrade: websocket',
    'Upgrade: h2c',
    'Connection: Upgrade',
    'Connection: close',
    'Content-Length: 0',
  ],
  ...['Content-Length: 5', 'Transfer-Encoding: chunked', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 8', 'Origin: null'],
  ...[
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Key: x',
    'Sec-WebSocket-Protocol: chat-api, bearer.x',
    'Expect: x',
  ],
  ...['Authorization: Bearer x', 'X-Forwarded-For: 1.2.3.4', `X: ${'a'.repeat(17_000)}`, 'Bad Header: x', ': x'],
];
const PATHS = ['/ws', '/ws/tea', '/ws/..', '/ws/%00', '/ws/%zz', '/ws?room=a&room=', '//ws', '/healthz', '*', 'http://h/ws', '/'];

const request: Arbitrary<string> = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'POST', 'HEAD', 'CONNECT', 'get', 'PRI'),
    path: fc.oneof(fc.constantFrom(...PATHS), fc.webPath()),
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9'),
    good: fc.integer({ min: 0, max: 5 }),
    headers: fc.array(fc.constantFrom(...HEADERS), { maxLength: 4 }),
    junk: fc.option(fc.string({ unit: 'binary', maxLength: 3 }), { nil: '', freq: 3 }),
    at: fc.nat(),
  })
  .map(({ method, path, version, good, headers, junk, at }) => {
    const usual = ['Host: h', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', KEY];
    const text = `${method} ${path} ${version}\r\n${[...usual.slice(0, good), ...headers].join('\r\n')}\r\n\r\n`;
    return text.slice(0, at % text.length) + junk + text.slice(at % text.length);
  });

/** Requests that are nearly upgrades, mostly alone, at times one right behind the other. */
export const requestBytes: Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: request },
  { weight: 1, arbitrary: fc.array(request, { minLength: 2, maxLength: 4 }).map((requests) => requests.join('')) },
);

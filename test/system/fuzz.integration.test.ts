import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkMessage, isRejection } from '../../src/dispatch/check.js';
import { builtInHandlers } from '../../src/index.js';
import { frameBytes, requestBytes, texts } from './fuzz/inputs.js';
import { BAD_MESSAGES, MAX_MESSAGE_BYTES, mayConnect, outcomeOf, type Claims, type Outcome, type Sender } from './fuzz/model.js';
import { GUARDED, startPod, type FuzzedPod } from './fuzz/pods.js';
import { connect, type Client, type Heard } from '../support/client.js';
import { clientFrame, closeCodeIn, messagesIn, rawConnect, upgradeRequest, type Raw } from '../support/raw.js';
import { nowS, tokenOf } from '../support/token.js';

/** Inputs in all; `npm run fuzz -- --runs 1000000 --seed 1` sets them. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 6000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const TEXTS_PER_CONVERSATION = 20;
const PATIENCE_MS = 10_000;

let open: FuzzedPod;
let guarded: FuzzedPod;
/** Impatient. */
let hasty: FuzzedPod;
/** With a small send buffer. */
let tight: FuzzedPod;
const inputs = { texts: 0, conversations: 0, said: 0, frames: 0, requests: 0 };

beforeAll(async () => {
  console.log(`fuzz: ${RUNS} inputs, seed ${SEED}`);
  [open, guarded, hasty, tight] = await Promise.all([
    startPod({}),
    startPod(GUARDED),
    startPod({ PING_INTERVAL_MS: '100', PONG_TIMEOUT_MS: '300' }),
    startPod({ SEND_BUFFER_MESSAGES: '4' }),
  ]);
});

afterAll(async () => {
  await Promise.all([open, guarded, hasty, tight].map(({ server }) => server.close()));
});

/** Rejects with what was going on rather than hang. */
function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`hangs: ${what}`));
    }, PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

function options(share: number): { numRuns: number; seed: number } {
  return { numRuns: Math.max(20, Math.round(RUNS * share)), seed: SEED };
}

test('a text is judged as the specification has it', () => {
  const handlers = new Map(builtInHandlers.map((each) => [each.type, each]));
  const rooms = ['a', 'b'];
  fc.assert(
    fc.property(texts([...rooms, 'c']), (text) => {
      inputs.texts += 1;
      const checked = checkMessage(text, { handlers, maxMessageBytes: MAX_MESSAGE_BYTES, identity: 'x'.repeat(36), rooms });
      const model = outcomeOf(text, { rooms });
      const bad = model.kind === 'error' && BAD_MESSAGES.has(model.code);
      expect(isRejection(checked) ? [checked.code, checked.ref] : 'good').toEqual(bad ? [model.code, model.ref] : 'good');
    }),
    options(0.6),
  );
}, 3_600_000);

const ENDINGS = {
  stays: undefined,
  closes: { bytes: clientFrame(0x88, Buffer.from([3, 232])), code: 1000 },
  closesWithout: { bytes: clientFrame(0x88, ''), code: 1005 },
  binary: { bytes: clientFrame(0x82, 'x'), code: 1003 },
  reserved: { bytes: clientFrame(0xc1, 'x'), code: 1002 },
  badUtf8: { bytes: clientFrame(0x81, Buffer.from([0xff])), code: 1007 },
  large: { bytes: clientFrame(0x81, 'x'.repeat(MAX_MESSAGE_BYTES + 1)), code: 1009 },
  fragments: { bytes: Buffer.concat(Array.from({ length: 1100 }, (_, n) => clientFrame(n === 0 ? 1 : 0, ''))), code: 1008 },
  boom: { bytes: clientFrame(0x81, '{"type":"boom"}'), code: 1011 },
} as const;

interface Part {
  readonly rooms: readonly string[];
  readonly claims: Claims;
  readonly texts: readonly string[];
  readonly ending: keyof typeof ENDINGS;
}

const ROOMS = ['a', 'ab', 'b*', 'B'];
const patterns = fc.option(fc.subarray(['a', 'a*', '*b', 'b*', '*', '**a**', 'B', '']), { nil: undefined, freq: 2 });
const part: fc.Arbitrary<Part> = fc.record({
  rooms: fc.subarray(ROOMS),
  claims: fc
    .record({ rooms: patterns, publish: patterns, global: fc.boolean() })
    .map((claims) => Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)) as Claims),
  texts: fc
    .tuple(fc.array(texts([...ROOMS, 'elsewhere']), { maxLength: 25 }), fc.constantFrom(0, 0, 0, 0, 9, 10))
    .map(([some, bad]) => [...some, ...Array.from({ length: bad }, () => '{')]),
  ending: fc.constantFrom(...(Object.keys(ENDINGS) as (keyof typeof ENDINGS)[]), 'stays', 'stays', 'stays'),
});

/** One conversation in which everything happens, so that no coverage depends on luck. */
const EVERYTHING: readonly Part[] = (['stays', ...Object.keys(ENDINGS)] as (keyof typeof ENDINGS)[]).map((ending, nth) => ({
  rooms: ['a', 'ab'],
  claims: { rooms: ['a*'], publish: ['ab'], global: true },
  ending,
  texts: [
    ...['{', '{}', '{"type":"shout"}', '{"type":"system"}', '{"type":"ping"}'],
    ...['elsewhere', 'a', 'ab', ''].map((room) => JSON.stringify({ type: 'chat', room, data: { content: `from ${nth}` } })),
    ...['none', 'refuse', 'doubt'].map((content) =>
      JSON.stringify({ type: 'chat', ...(content !== 'none' && { room: 'ab' }), data: { content } }),
    ),
    ...(nth === 0 ? Array.from({ length: 10 }, () => '[') : []),
  ],
}));

interface Talker {
  readonly name: string;
  readonly raw: Raw;
  readonly sender: Sender;
  readonly part: Part;
  /** What its texts lead to, up to the one that ends it. */
  readonly outcomes: readonly Outcome[];
  /** The close code that is its due; undefined where it stays. */
  readonly ends: number | undefined;
}

/** What the texts of one client lead to: the tenth bad message in a row is the last. */
function outcomesOf(texts: readonly string[], sender: Sender): { outcomes: Outcome[]; struckOut: boolean } {
  const outcomes: Outcome[] = [];
  let inARow = 0;
  for (const text of texts) {
    const outcome = outcomeOf(text, sender);
    outcomes.push(outcome);
    inARow = outcome.kind === 'error' && BAD_MESSAGES.has(outcome.code) ? inARow + 1 : 0;
    if (inARow === 10) return { outcomes, struckOut: true };
  }
  return { outcomes, struckOut: false };
}

async function arrive(pod: FuzzedPod, withTokens: boolean, said: Part, nth: number): Promise<Talker | undefined> {
  const name = `talker-${nth}`;
  const sender: Sender = { rooms: said.rooms, claims: withTokens ? said.claims : undefined };
  const raw = await rawConnect(pod.port);
  const query = said.rooms.map((room) => `room=${encodeURIComponent(room)}`).join('&');
  const headers: Record<string, string> = withTokens ? { Authorization: `Bearer ${tokenOf(name, { ...said.claims })}` } : {};
  raw.write(upgradeRequest(`/ws?${query}`, headers));
  if (!mayConnect(sender)) {
    expect((await soon('a refusal', raw.text())).slice(0, 12)).toBe('HTTP/1.1 403');
    return undefined;
  }
  await soon(
    'a welcome',
    raw.receives((received) => messagesIn(received).length > 0),
  );
  const { outcomes, struckOut } = outcomesOf(said.texts, sender);
  return { name, raw, sender, part: said, outcomes, ends: struckOut ? 4500 : ENDINGS[said.ending]?.code };
}

/** What a message is, apart from its time and what the server chose. */
function gist({ type, room, data, id }: Heard, from: string): string {
  if (type === 'error') return JSON.stringify(['error', data['code'], data['ref'] ?? null]);
  if (type === 'pong') return JSON.stringify(['pong', data]);
  return JSON.stringify([from, room ?? null, data, /^[\da-f-]{36}$/i.test(id)]);
}

function replies(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => {
    if (outcome.kind === 'error') return [JSON.stringify(['error', outcome.code, outcome.ref ?? null])];
    return outcome.kind === 'pong' ? [JSON.stringify(['pong', outcome.data])] : [];
  });
}

function publications({ outcomes }: Talker, from: string): { room: string | undefined; gist: string }[] {
  return outcomes.flatMap((outcome) =>
    outcome.kind === 'publish'
      ? [{ room: outcome.room, gist: JSON.stringify([from, outcome.room ?? null, outcome.data, true]) }]
      : [],
  );
}

async function converse(pod: FuzzedPod, withTokens: boolean, parts: readonly Part[]): Promise<void> {
  const arrived = await Promise.all(parts.map((each, nth) => arrive(pod, withTokens, each, nth)));
  const talkers = arrived.filter((talker) => talker !== undefined);
  const ids = new Map(talkers.map(({ raw, name }) => [withTokens ? name : clientIdIn(raw), name]));
  for (const { raw, part: said } of talkers) {
    raw.write(
      Buffer.concat([...said.texts.map((text) => clientFrame(0x81, text)), ENDINGS[said.ending]?.bytes ?? Buffer.alloc(0)]),
    );
  }
  const due = talkers.flatMap((talker) => publications(talker, talker.name));
  const hears = (talker: Talker) => due.filter(({ room }) => room === undefined || talker.sender.rooms.includes(room));
  const spoken = (talker: Talker) => messagesIn(talker.raw.received).filter(({ type }) => type !== 'system');
  await Promise.all(
    talkers.map((talker) => {
      const { raw, ends, outcomes } = talker;
      if (ends !== undefined)
        return soon(
          `a close with ${ends}`,
          raw.receives((received) => closeCodeIn(received) !== undefined),
        );
      const count = replies(outcomes).length + hears(talker).length;
      return soon(
        'what is due',
        raw.receives(() => spoken(talker).length >= count),
      );
    }),
  );
  // Whatever came too much comes before the answer to this.
  for (const { raw, ends } of talkers) if (ends === undefined) raw.write(clientFrame(0x81, '{"type":"ping","data":"the end"}'));
  for (const talker of talkers) {
    if (talker.ends === undefined)
      await soon(
        'the end',
        talker.raw.receives((received) => received.includes('"data":"the end"')),
      );
    check(talker, spoken(talker), hears(talker), ids);
    talker.raw.socket.destroy();
  }
  checkOrder(talkers.filter(({ ends }) => ends === undefined).map((talker) => spoken(talker)));
  inputs.conversations += 1;
  inputs.said += parts.reduce((sum, { texts: said }) => sum + said.length, 0);
}

function clientIdIn({ received }: Raw): string {
  return String(messagesIn(received)[0]?.data['clientId']);
}

function check(
  { raw, ends, outcomes }: Talker,
  heard: readonly Heard[],
  due: readonly { gist: string }[],
  ids: ReadonlyMap<string, string>,
) {
  const isReply = ({ type, from }: Heard) => from === 'server' && (type === 'error' || type === 'pong');
  const own = heard
    .filter((message) => isReply(message) && message.data !== ('the end' as unknown))
    .map((message) => gist(message, ''));
  const others = heard
    .filter((message) => !isReply(message))
    .map((message) => gist(message, ids.get(message.from) ?? message.from));
  expect(closeCodeIn(raw.received)).toBe(ends);
  const expected = due.map((each) => each.gist);
  if (ends === undefined) {
    expect(own).toEqual(replies(outcomes));
    expect(others.sort()).toEqual(expected.sort());
    return;
  }
  // Who goes may miss what was said late, but hears nothing that is not for it.
  expect(replies(outcomes).slice(0, own.length)).toEqual(own);
  if (ends === 4500) expect(own).toEqual(replies(outcomes));
  const left = [...expected];
  for (const message of others) {
    const at = left.indexOf(message);
    if (at < 0) throw new Error(`heard what was not for it: ${message}`);
    left.splice(at, 1);
  }
}

/** All who stayed heard each room, and what went to everybody, in one order. */
function checkOrder(all: readonly (readonly Heard[])[]): void {
  for (const room of [...ROOMS, undefined]) {
    const orders = all.map((heard) =>
      heard.filter((message) => message.type === 'chat' && message.room === room).map(({ id }) => id),
    );
    const longest = orders.reduce((best, order) => (order.length > best.length ? order : best), []);
    for (const order of orders) expect([[], longest]).toContainEqual(order);
  }
}

test('conversations go as the specification has it, with and without tokens, and no room leaks', async () => {
  const { numRuns, seed } = options(0.3);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(part, { minLength: 1, maxLength: 4 }), async (withTokens, parts) => {
      await converse(withTokens ? guarded : open, withTokens, parts);
    }),
    {
      numRuns: Math.max(20, Math.round(numRuns / TEXTS_PER_CONVERSATION)),
      seed,
      examples: [
        [false, [...EVERYTHING]],
        [true, [...EVERYTHING]],
      ],
    },
  );
}, 3_600_000);

describe('bytes', () => {
  let bystander: Client;

  beforeAll(async () => {
    bystander = await connect(open.port, '/ws/quiet');
  });

  afterAll(async () => {
    await bystander.close();
  });

  test('behind an upgrade end in a known way, and nobody else hears of it', async () => {
    const known = new Set([undefined, 1000, 1002, 1003, 1005, 1007, 1008, 1009, 4500]);
    await fc.assert(
      fc.asyncProperty(frameBytes, async (bytes) => {
        inputs.frames += 1;
        const raw = await rawConnect(open.port);
        raw.write(Buffer.concat([Buffer.from(upgradeRequest('/ws/fuzz')), bytes]));
        raw.socket.end();
        await soon('an end', raw.closed);
        const code = closeCodeIn(raw.received);
        const isKnown =
          known.has(code) || (code !== undefined && code >= 1000 && bytes.includes(Buffer.from([code >> 8, code & 255])));
        expect({ code, isKnown }).toEqual({ code, isKnown: true });
        for (const message of messagesIn(raw.received)) expect(['system', 'error', 'pong', 'chat']).toContain(message.type);
      }),
      options(0.05),
    );
    bystander.chat('hello?');
    await soon('an echo', bystander.hearsChat('hello?'));
    expect(bystander.heard.filter(({ room }) => room !== undefined).map(({ room }) => room)).toEqual(['quiet']);
  }, 3_600_000);

  test('that are nearly a request are answered in a known way, or not', async () => {
    const known = new Set(['', ...['101', '200', '400', '401', '403', '404', '405', '408', '417', '426', '431', '503']]);
    await fc.assert(
      fc.asyncProperty(requestBytes, fc.boolean(), async (text, withTokens) => {
        inputs.requests += 1;
        const raw = await rawConnect((withTokens ? guarded : open).port);
        raw.write(Buffer.from(text, 'latin1'));
        raw.socket.end();
        await soon('an end', raw.closed);
        const [, status = ''] = /^HTTP\/1\.1 (\d{3}) /.exec(raw.received.toString('latin1')) ?? [];
        expect(known).toContain(status);
        if (withTokens) expect(status).not.toBe('101');
      }),
      options(0.05),
    );
  }, 3_600_000);
});

describe('what takes time', () => {
  test('a silent client: 4001; a deaf one: 4000', async () => {
    const [silent, deaf] = await Promise.all([rawConnect(hasty.port), rawConnect(tight.port)]);
    silent.write(upgradeRequest('/ws'));
    await soon(
      '4001',
      silent.receives((received) => closeCodeIn(received) === 4001),
    );
    deaf.write(upgradeRequest('/ws/deaf'));
    await deaf.receives((received) => messagesIn(received).length > 0);
    deaf.socket.pause();
    const loud = await connect(tight.port, '/ws/deaf');
    const closes = async () => (await tight.counted('closes_total')).get('4000');
    while ((await closes()) === 0) {
      loud.send({ type: 'chat', data: { content: 'x'.repeat(60_000) } });
      await new Promise((resolve) => setImmediate(resolve));
    }
    loud.webSocket.terminate();
    deaf.socket.destroy();
  });

  test('a token that expires: 4002; a pod that goes away: 1001', async () => {
    const headers = { Authorization: `Bearer ${tokenOf('ada', { exp: nowS() - 4 })}` };
    const client = await connect(guarded.port, '/ws', { headers });
    expect((await soon('4002', client.closed)).code).toBe(4002);
    const last = await connect(tight.port);
    await Promise.all([tight.server.close(), last.closed]);
    expect((await last.closed).code).toBe(1001);
  });
});

/** Polls, for a scrape is all there is. */
async function untilZero(pod: FuzzedPod, metric: string): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  for (let now = await pod.value(metric); now !== 0; now = await pod.value(metric)) {
    if (Date.now() > deadlineMs) throw new Error(`${metric} is ${now}, not 0`);
  }
}

test('every error code and every close code has been seen, and nothing is left behind', async () => {
  const sum = async (metric: string) => {
    const all = await Promise.all([open, guarded, hasty, tight].map((pod) => pod.counted(metric)));
    const labels = [...(all[0]?.keys() ?? [])].filter((label) => label !== 'other');
    return Object.fromEntries(labels.map((label) => [label, all.reduce((total, counts) => total + (counts.get(label) ?? 0), 0)]));
  };
  const [errors, closes] = [await sum('errors_total'), await sum('closes_total')];
  console.log(`fuzz: ${JSON.stringify({ seed: SEED, inputs, errors, closes })}`);
  expect(Object.entries({ ...errors, ...closes }).filter(([, count]) => count === 0)).toEqual([]);
  for (const pod of [open, guarded, hasty, tight]) {
    for (const metric of ['connections', 'rooms']) await untilZero(pod, metric);
  }
});

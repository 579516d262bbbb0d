import { describe, expect, test } from '@jest/globals';
import { noMetrics, prometheusMetrics, type Metrics, type MetricsOptions } from '../../src/runtime/metrics.js';
import { CloseCode } from '../../src/protocol/protocol.js';
import { admit, type OriginPolicy } from '../../src/http/request.js';
import { AUTH_UNAVAILABLE, FORBIDDEN, INTERNAL, unauthorized } from '../../src/http/refusal.js';

/** One use of the metrics: which, and with what. */
type Use = { readonly [K in keyof Metrics]: readonly [K, ...Parameters<Metrics[K]>] }[keyof Metrics];

/** The lines of a scrape that count something, by what they count, after the metrics were used. */
async function scraped(uses: readonly Use[], options?: MetricsOptions): Promise<ReadonlyMap<string, number>> {
  const metrics = prometheusMetrics(options);
  for (const [name, ...given] of uses) (metrics[name] as (...given: readonly unknown[]) => void)(...given);
  const lines = (await metrics.scrape()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test.each<[line: string, value: number, ...uses: Use[]]>([
  ['chat_connections', 1, ['connections', 1], ['connections', 1], ['connections', -1]],
  ['chat_rooms', 1, ['rooms', 1], ['rooms', 1], ['rooms', -1]],
  ['chat_messages_received_total{type="chat"}', 1, ['received', 'chat']],
  ['chat_messages_received_total{type="invalid"}', 1, ['received', 'invalid']],
  ['chat_messages_published_total{outcome="ok"}', 1, ['published', 'ok', 1]],
  ['chat_messages_published_total{outcome="unavailable"}', 1, ['published', 'unavailable', 1]],
  ['chat_messages_published_total{outcome="unconfirmed"}', 1, ['published', 'unconfirmed', 1]],
  ['chat_publish_duration_seconds_sum', 0.25, ['published', 'ok', 0.25]],
  ['chat_publish_duration_seconds_count', 1, ['published', 'unconfirmed', 0.25], ['published', 'unavailable', 0.25]],
  ['chat_publish_duration_seconds_bucket{le="0.1"}', 1, ['published', 'ok', 0.09]],
  ['chat_publish_duration_seconds_bucket{le="0.05"}', 0, ['published', 'ok', 0.09]],
  ['chat_messages_delivered_total', 7, ['delivered', 3], ['delivered', 4]],
  ['chat_delivery_lag_seconds_sum', 0.5, ['deliveryLag', 0.5]],
  ['chat_send_buffer_messages_sum', 256, ['sendBufferHighWater', 256]],
  ['chat_send_buffer_messages_bucket{le="0"}', 1, ['sendBufferHighWater', 0]],
  ['chat_send_buffer_messages_bucket{le="256"}', 1, ['sendBufferHighWater', 256]],
  ['chat_send_buffer_messages_bucket{le="128"}', 0, ['sendBufferHighWater', 256]],
  ['chat_closes_total{code="4000"}', 1, ['closed', 4000]],
  ['chat_upgrades_refused_total{reason="bad_room"}', 1, ['upgradeRefused', 'bad_room']],
  ['chat_errors_total{code="not_in_room"}', 1, ['errorSent', 'not_in_room']],
  ['chat_broker_up', 1, ['brokerUp', true]],
  ['chat_broker_up', 0, ['brokerUp', true], ['brokerUp', false]],
  ['chat_broker_reconnects_total', 1, ['brokerReconnected']],
  ['chat_broker_invalid_total', 2, ['brokerInvalid'], ['brokerInvalid']],
])('%s is %p after what happened', async (line, value, ...uses) => {
  expect((await scraped(uses)).get(line)).toBe(value);
});

describe('a label takes only values from a fixed list, the rest is `other`', () => {
  test.each<[line: string, use: Use]>([
    ['chat_messages_received_total{type="other"}', ['received', 'dance']],
    ['chat_messages_received_total{type="other"}', ['received', '__proto__']],
    ['chat_closes_total{code="other"}', ['closed', 3999]],
    ['chat_upgrades_refused_total{reason="other"}', ['upgradeRefused', 'mood']],
    ['chat_errors_total{code="other"}', ['errorSent', 'mood']],
  ])('%s', async (line, use) => {
    const [before, after] = [await scraped([]), await scraped([use])];
    expect(after.get(line)).toBe(1);
    const ours = (lines: ReadonlyMap<string, number>) => [...lines.keys()].filter((name) => name.startsWith('chat_'));
    expect(ours(after)).toEqual(ours(before));
  });

  test('handlers and middleware should count the events that they declare', async () => {
    const options = {
      handlers: [{ type: 'reaction', events: ['added', 'removed'] }],
      middleware: [{ name: 'limit', events: ['refused'] }],
    };
    const lines = await scraped(
      [
        ['handlerEvent', 'reaction', 'added'],
        ['handlerEvent', 'reaction', 'added'],
        ['handlerEvent', 'limit', 'refused'],
        ['handlerEvent', 'reaction', 'refused'],
        ['handlerEvent', 'unheard of', 'added'],
        ['handlerFailed', 'limit'],
        ['handlerFailed', 'unheard of'],
      ],
      options,
    );
    const counted = [...lines].filter(([line]) => line.startsWith('chat_handler_'));
    expect(Object.fromEntries(counted)).toEqual({
      'chat_handler_events_total{type="reaction",event="added"}': 2,
      'chat_handler_events_total{type="reaction",event="removed"}': 0,
      'chat_handler_events_total{type="limit",event="refused"}': 1,
      'chat_handler_events_total{type="other",event="other"}': 2,
      'chat_handler_errors_total{type="reaction"}': 0,
      'chat_handler_errors_total{type="limit"}': 1,
      'chat_handler_errors_total{type="transform"}': 0,
      'chat_handler_errors_total{type="other"}': 1,
    });
  });

  test('types that were installed are in the list', async () => {
    const lines = await scraped([['received', 'weather']], { handlers: [{ type: 'weather', events: [] }] });
    expect(lines.get('chat_messages_received_total{type="weather"}')).toBe(1);
    expect(lines.get('chat_messages_received_total{type="other"}')).toBe(0);
  });

  test('every close code of the service is in it', async () => {
    const codes = Object.values(CloseCode);
    const lines = await scraped(codes.map((code) => ['closed', code]));
    expect(codes.map((code) => lines.get(`chat_closes_total{code="${code}"}`))).toEqual(codes.map(() => 1));
  });

  test('every error code is in it', async () => {
    const codes = [
      ...['invalid_json', 'invalid_message', 'unknown_type', 'forbidden_type', 'forbidden'],
      ...['room_required', 'not_in_room', 'unavailable', 'unconfirmed'],
    ];
    const lines = await scraped(codes.map((code) => ['errorSent', code]));
    expect(codes.map((code) => lines.get(`chat_errors_total{code="${code}"}`))).toEqual(codes.map(() => 1));
  });

  test('every reason for which an upgrade is refused is in it', async () => {
    const request = { method: 'GET', headers: { host: ['h'] }, peer: undefined, segment: undefined, query: '' };
    const free = { draining: false, full: false };
    const border: OriginPolicy = { origins: 'same-origin', trusted: undefined };
    const refusals = [
      ...[AUTH_UNAVAILABLE, FORBIDDEN, INTERNAL, unauthorized('a token is needed')],
      admit(request, { ...free, draining: true }, border),
      admit(request, { ...free, full: true }, border),
      admit({ ...request, headers: {} }, free, border),
      admit({ ...request, method: 'POST' }, free, border),
      admit({ ...request, headers: { ...request.headers, origin: ['null'] } }, free, border),
      admit({ ...request, segment: '' }, free, border),
    ];
    const reasons = refusals.map((refusal) => ('code' in refusal ? refusal.code : 'let in'));
    const lines = await scraped(reasons.map((reason) => ['upgradeRefused', reason]));
    expect(new Set(reasons).size).toBe(10);
    expect(reasons.map((reason) => lines.get(`chat_upgrades_refused_total{reason="${reason}"}`))).toEqual(reasons.map(() => 1));
  });
});

test('what has not happened yet counts as 0 rather than being absent', async () => {
  const lines = await scraped([]);
  expect(lines.get('chat_errors_total{code="unavailable"}')).toBe(0);
  expect(lines.get('chat_closes_total{code="4000"}')).toBe(0);
  expect(lines.get('chat_broker_up')).toBe(0);
});

/** `[metric, kind]` where a line of a scrape declares one of the service's. */
function kindIn(line: string): [string, string][] {
  const [, , name = '', kind = ''] = line.split(' ');
  return line.startsWith('# TYPE chat_') ? [[name, kind]] : [];
}

test('a scrape is Prometheus text with every metric of the service and Node’s own, event-loop lag among them', async () => {
  const metrics = prometheusMetrics();
  const text = await metrics.scrape();
  expect(metrics.contentType).toMatch(/^text\/plain/);
  const kinds = Object.fromEntries(text.split('\n').flatMap((line) => kindIn(line)));
  expect(kinds).toStrictEqual({
    chat_connections: 'gauge',
    chat_rooms: 'gauge',
    chat_presence_waiting: 'gauge',
    chat_presence_lost_total: 'counter',
    chat_messages_received_total: 'counter',
    chat_messages_published_total: 'counter',
    chat_messages_delivered_total: 'counter',
    chat_send_buffer_messages: 'histogram',
    chat_closes_total: 'counter',
    chat_upgrades_refused_total: 'counter',
    chat_errors_total: 'counter',
    chat_publish_duration_seconds: 'histogram',
    chat_delivery_lag_seconds: 'histogram',
    chat_broker_up: 'gauge',
    chat_broker_reconnects_total: 'counter',
    chat_broker_invalid_total: 'counter',
    chat_handler_errors_total: 'counter',
    chat_handler_events_total: 'counter',
  });
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  expect(text).toMatch(/^process_resident_memory_bytes /m);
});

test('two sets of metrics know nothing of each other', async () => {
  const [one, two] = [prometheusMetrics(), prometheusMetrics()];
  one.brokerReconnected();
  expect(await one.scrape()).toMatch(/^chat_broker_reconnects_total 1$/m);
  expect(await two.scrape()).toMatch(/^chat_broker_reconnects_total 0$/m);
});

test('metrics that nobody reads take everything that the others take', () => {
  const counting = Object.keys(prometheusMetrics()).filter((name) => !['contentType', 'scrape'].includes(name));
  expect(Object.keys(noMetrics).sort()).toEqual(counting.sort());
});

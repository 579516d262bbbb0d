import { describe, expect, test } from '@jest/globals';
import { mergeBatches, textBatch, publicationBatch, withoutOldest, type Batch } from '../../src/hub/frame.js';
import type { Publication } from '../../src/broker/broker.js';

const publication = (text: string): Publication => ({ kind: 'publication', room: 'tea', payload: Buffer.from(text) });

const batchOf = (texts: readonly string[], publishedAtMs = 7): Batch => publicationBatch(texts.map(publication), publishedAtMs);

/** A final, unmasked text frame, its header as RFC 6455 section 5.2 has it. */
function frame(text: string, header: string): Buffer {
  return Buffer.concat([Buffer.from(header, 'hex'), Buffer.from(text)]);
}

const bytesOf = ({ parts }: Batch): string => Buffer.concat(parts).toString('latin1');

/** Takes the oldest away until nothing is left. */
function allRests(batch: Batch | undefined): Batch[] {
  return batch === undefined ? [] : [batch, ...allRests(withoutOldest(batch))];
}

describe('a frame', () => {
  test.each([
    [0, '8100'],
    [1, '8101'],
    [125, '817d'],
    [126, '817e007e'],
    [127, '817e007f'],
    [65_535, '817effff'],
    [65_536, '817f0000000000010000'],
    [65_537, '817f0000000000010001'],
  ])('of %i bytes has the header %s, whoever speaks', (length, header) => {
    const text = 'x'.repeat(length);
    const expected = frame(text, header);
    for (const batch of [textBatch(text), batchOf([text])]) {
      expect(Buffer.concat(batch.parts).equals(expected)).toBe(true);
      expect(batch).toMatchObject({ kind: 'batch', messages: 1, bytes: expected.length });
    }
  });

  test('counts bytes of UTF-8, not letters', () => {
    expect(textBatch('日本')).toMatchObject({ bytes: 8, parts: [frame('日本', '8106')] });
    expect(batchOf(['日本'])).toMatchObject({ bytes: 8, parts: [frame('日本', '8106')] });
  });
});

test('the publications of one room and turn become one buffer, in order', () => {
  const long = 'y'.repeat(200);
  const batch = batchOf(['a', long, 'b']);
  expect(batch.parts).toEqual([Buffer.concat([frame('a', '8101'), frame(long, '817e00c8'), frame('b', '8101')])]);
  expect(batch).toMatchObject({ messages: 3, bytes: 3 + 204 + 3, publishedAtMs: 7 });
});

test('the server’s own word bears no time of publication, for it is never dropped', () => {
  expect(textBatch('hi').publishedAtMs).toBeUndefined();
});

describe('two batches merged', () => {
  const tea = batchOf(['a', 'b']);
  const milk = batchOf(['c']);

  test('are written after one another, and no byte is copied', () => {
    const merged = mergeBatches(tea, milk);
    expect(merged).toMatchObject({ messages: 3, bytes: tea.bytes + milk.bytes });
    expect(merged.parts[0]).toBe(tea.parts[0]);
    expect(merged.parts[1]).toBe(milk.parts[0]);
    expect(merged.parts).toHaveLength(2);
  });

  test('leave both as they were', () => {
    mergeBatches(tea, milk);
    expect([tea.messages, milk.messages, tea.parts.length, milk.parts.length]).toEqual([2, 1, 1, 1]);
  });

  test.each([
    ['first', 5, 9],
    ['second', 9, 5],
  ])('bear the time of the oldest publication, if it is in the %s', (_, first, second) => {
    expect(mergeBatches(batchOf(['a'], first), batchOf(['b'], second)).publishedAtMs).toBe(5);
  });
});

describe('a batch without its oldest message', () => {
  test('is nothing where that was its only one', () => {
    expect(withoutOldest(batchOf(['a']))).toBeUndefined();
  });

  test.each([
    ['short ones', ['a', 'b', 'c']],
    ['empty ones', ['', '', 'c']],
    ['ones with a header of 4 bytes', ['a'.repeat(126), 'b'.repeat(65_535), 'c']],
    ['ones with a header of 10 bytes', ['a'.repeat(65_536), 'b'.repeat(70_000), 'c']],
  ])('is what came after it: of %s', (_, texts) => {
    const rests = allRests(batchOf(texts));
    const expected = texts.map((_text, dropped) => batchOf(texts.slice(dropped)));
    expect(rests.map(({ messages, bytes }) => [messages, bytes])).toEqual(
      expected.map(({ messages, bytes }) => [messages, bytes]),
    );
    expect(rests.map(bytesOf)).toEqual(expected.map(bytesOf));
  });

  test('goes on from one room’s bytes to the next room’s', () => {
    const rests = allRests(mergeBatches(batchOf(['a', 'b']), batchOf(['c', 'd'])));
    const expected = [['a', 'b', 'c', 'd'], ['b', 'c', 'd'], ['c', 'd'], ['d']].map((texts) => batchOf(texts));
    expect(rests.map(({ messages, bytes }) => [messages, bytes])).toEqual(
      expected.map(({ messages, bytes }) => [messages, bytes]),
    );
    expect(rests.map(bytesOf)).toEqual(expected.map(bytesOf));
    expect(rests.map(({ parts }) => parts.length)).toEqual([2, 2, 1, 1]);
  });

  test('leaves the shared bytes and the whole batch as they were', () => {
    const batch = batchOf(['a', 'b']);
    const before = bytesOf(batch);
    withoutOldest(batch);
    expect(bytesOf(batch)).toBe(before);
    expect(batch.messages).toBe(2);
  });

  test('keeps its time of publication', () => {
    expect(withoutOldest(batchOf(['a', 'b'], 42))?.publishedAtMs).toBe(42);
  });
});

import { expect } from '@jest/globals';
import { tap } from 'rxjs';
import {
  BufferOverflowError,
  boundedBuffer,
  type BoundedBufferOptions,
  type Consumer,
  type DropOldest,
} from '../../src/operators/boundedBuffer.js';
import type { RowConsumer } from '../support/consumer.js';

/**
 * Items are texts in which each letter is a message of ten bytes: 'abc' is an item of three messages. Items of capitals may not be
 * dropped, '!' has no weight and never waits, and '.' has weight zero.
 */
export function weigh(item: string) {
  if (item === '!') return undefined;
  return item === '.' ? { messages: 0, bytes: 0 } : { messages: item.length, bytes: 10 * item.length };
}

export const dropOldest: DropOldest<string> = {
  mayDrop: (item) => item === item.toLowerCase(),
  withoutOldest: (item) => (item.length > 1 ? item.slice(1) : undefined),
  gap: (dropped, present) => present ?? `gap from ${dropped}`,
};

/** A buffer for three messages. */
export function buffer(consumer: Consumer, options: Partial<BoundedBufferOptions<string>> = {}) {
  return boundedBuffer(consumer, { maxMessages: 3, maxBytes: 1000, weigh, ...options });
}

export const LETTERS = { a: 'a', b: 'b', c: 'c', d: 'd', e: 'e', f: 'f', g: 'g', h: 'h' };
export const OVERFLOW: unknown = expect.any(BufferOverflowError);

/** Makes the consumer unwritable with each item that it is given. */
export function closing(consumer: RowConsumer) {
  return tap<string>(() => {
    consumer.isWritable = false;
  });
}

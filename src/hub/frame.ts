import type { Publication } from '../broker/broker.js';

/**
 * Whole WebSocket text frames (RFC 6455 section 5.2), ready to be written to a socket: the unit that waits in a send buffer.
 * All receivers share the bytes, so they must not be changed.
 */
export interface Batch {
  readonly kind: 'batch';
  /** One buffer per room; written to the socket together. */
  readonly parts: readonly Buffer[];
  readonly messages: number;
  readonly bytes: number;
  /** Time of the oldest publication, in milliseconds since the epoch; absent on the server's own messages, which are never dropped. */
  readonly publishedAtMs?: number;
}

const FINAL_TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** Smaller buffers come from Node's pool; larger ones are allocated alone, because one of them would keep a whole pool slab in memory. */
const SMALL_BYTES = 1024;

/** The publications of one room and turn in one buffer. */
export function publicationBatch(publications: readonly Publication[], publishedAtMs: number): Batch {
  let bytes = 0;
  for (const { payload } of publications) bytes += headerLength(payload.length) + payload.length;
  const joined = bytes < SMALL_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const { payload } of publications) {
    at = writeHeader(joined, at, payload.length);
    joined.set(payload, at);
    at += payload.length;
  }
  return { kind: 'batch', parts: [joined], messages: publications.length, bytes, publishedAtMs };
}

/** A message of the server's own. @param json the envelope */
export function textBatch(json: string): Batch {
  const length = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(headerLength(length) + length);
  frame.write(json, writeHeader(frame, 0, length));
  return { kind: 'batch', parts: [frame], messages: 1, bytes: frame.length };
}

/** The batches of two rooms as one, for a member of both. Copies no bytes. */
export function mergeBatches(a: Batch, b: Batch): Batch {
  const publishedAtMs = Math.min(a.publishedAtMs ?? Infinity, b.publishedAtMs ?? Infinity);
  const parts = a.parts.concat(b.parts);
  return { kind: 'batch', parts, messages: a.messages + b.messages, bytes: a.bytes + b.bytes, publishedAtMs };
}

/** A batch without its oldest message; undefined if it has no other. */
export function withoutOldest(batch: Batch): Batch | undefined {
  const {
    parts: [oldest, ...others],
    messages,
    bytes,
  } = batch;
  if (messages <= 1 || oldest === undefined) return undefined;
  const length = frameLength(oldest);
  const rest = oldest.subarray(length);
  return { ...batch, parts: rest.length > 0 ? [rest, ...others] : others, messages: messages - 1, bytes: bytes - length };
}

/** The payload of each frame of a batch, in order. */
export function* payloads({ parts }: Batch): Generator<Buffer> {
  for (const part of parts) {
    for (let rest = part; rest.length > 0; rest = rest.subarray(frameLength(rest))) {
      yield rest.subarray(frameLength(rest) - payloadLength(rest), frameLength(rest));
    }
  }
}

function headerLength(length: number): number {
  return length < LENGTH_16 ? 2 : length < 1 << 16 ? 4 : 10;
}

function writeHeader(frame: Buffer, start: number, length: number): number {
  frame[start] = FINAL_TEXT;
  if (length < LENGTH_16) return frame.writeUInt8(length, start + 1);
  if (length < 1 << 16) {
    frame[start + 1] = LENGTH_16;
    return frame.writeUInt16BE(length, start + 2);
  }
  frame[start + 1] = LENGTH_64;
  return frame.writeBigUInt64BE(BigInt(length), start + 2);
}

function frameLength(frame: Buffer): number {
  const length = payloadLength(frame);
  return headerLength(length) + length;
}

function payloadLength(frame: Buffer): number {
  const length = frame.readUInt8(1);
  if (length === LENGTH_16) return frame.readUInt16BE(2);
  return length === LENGTH_64 ? Number(frame.readBigUInt64BE(2)) : length;
}

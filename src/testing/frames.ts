import type { Envelope } from '../protocol/protocol.js';

export interface ReadFrame {
  readonly message: Envelope;
  /** Of the whole frame. */
  readonly bytes: number;
}

/** Members of a room are handed the same bytes: what one has read, all have. */
const known = new WeakMap<Buffer, readonly ReadFrame[]>();

/** The messages of unmasked text frames (RFC 6455 section 5.2), as a client's library reads them. */
export function readFrames(bytes: Buffer): readonly ReadFrame[] {
  const read = known.get(bytes) ?? framesOf(bytes);
  known.set(bytes, read);
  return read;
}

function framesOf(bytes: Buffer): readonly ReadFrame[] {
  const frames: ReadFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const [header, length] = sizeOf(bytes, at);
    // The code under test wrote it: whether it is an envelope is for the checks to say.
    const message = JSON.parse(bytes.toString('utf8', at + header, at + header + length)) as Envelope;
    frames.push({ message, bytes: header + length });
    at += header + length;
  }
  return frames;
}

function sizeOf(bytes: Buffer, at: number): readonly [header: number, length: number] {
  const short = bytes.readUInt8(at + 1);
  if (short === 126) return [4, bytes.readUInt16BE(at + 2)];
  if (short === 127) return [10, Number(bytes.readBigUInt64BE(at + 2))];
  return [2, short];
}

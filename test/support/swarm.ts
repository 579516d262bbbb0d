import { connect, type Socket } from 'node:net';
import { clientFrame, upgradeRequest } from './raw.js';

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const FINAL_PONG = 0x8a;

export interface SwarmOptions {
  readonly port: number;
  readonly size: number;
  /** The path of the nth member. */
  readonly path: (nth: number) => string;
  /** Source addresses to spread over, for one has too few ports for tens of thousands of connections in a minute. */
  readonly localAddress?: string;
  /** Each text frame of each member. */
  readonly onText?: (nth: number, payload: Buffer) => void;
}

/** One of very many clients: a socket and a frame reader that answers pings, nothing else. */
export class SwarmMember {
  readonly socket: Socket;
  closeCode: number | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #upgraded = false;
  readonly #onText: (payload: Buffer) => void;

  constructor(socket: Socket, onText: (payload: Buffer) => void) {
    this.socket = socket;
    this.#onText = onText;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      this.#read(this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]));
    });
  }

  #read(bytes: Buffer): void {
    let at = 0;
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        this.#upgraded = true;
        at = end + 4;
      }
    }
    while (this.#upgraded && at + 2 <= bytes.length) {
      const short = bytes.readUInt8(at + 1);
      const header = short === 126 ? 4 : 2;
      if (at + header > bytes.length) break;
      const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
      if (at + header + length > bytes.length) break;
      this.#take(bytes.readUInt8(at) & 15, bytes.subarray(at + header, at + header + length));
      at += header + length;
    }
    this.#rest = bytes.subarray(at);
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === TEXT) this.#onText(payload);
    if (opcode === PING && this.socket.writable) this.socket.write(clientFrame(FINAL_PONG, payload));
    if (opcode === CLOSE) {
      this.closeCode = payload.readUInt16BE(0);
      this.socket.end();
    }
  }
}

/** Connects them all, at most 200 at a time, and resolves when each has heard its first message: the welcome. */
export async function swarm({ port, size, path, localAddress, onText }: SwarmOptions): Promise<SwarmMember[]> {
  const members: SwarmMember[] = [];
  const one = (nth: number) =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ...(localAddress !== undefined && { localAddress }) });
      let welcomed = false;
      socket.once('close', () => {
        reject(new Error('closed before the welcome'));
      });
      members[nth] = new SwarmMember(socket, (payload) => {
        if (welcomed) onText?.(nth, payload);
        welcomed = true;
        resolve();
      });
      socket.write(upgradeRequest(path(nth)));
    });
  let next = 0;
  const worker = async () => {
    while (next < size) await one(next++);
  };
  await Promise.all(Array.from({ length: 200 }, worker));
  return members;
}

/** Resident memory of a process, in bytes. */
export async function residentBytes(pid: number | undefined): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${String(pid)}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

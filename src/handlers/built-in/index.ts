import type { Handler } from '../handler.js';
import { chat } from './chat.js';
import { ping } from './ping.js';
import { pong } from './pong.js';

/** The message types that every pod has. */
export const builtInHandlers: readonly Handler[] = [chat, ping, pong];

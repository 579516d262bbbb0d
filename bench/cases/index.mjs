import { connections } from './connections.mjs';
import { crowd } from './crowd.mjs';
import { busyRoom, middleRooms, oneRoom, pairs, smallRooms } from './fan-out.mjs';
import { flood, largeFlood } from './flood.mjs';
import { heartbeats } from './heartbeats.mjs';
import { ladder } from './ladder.mjs';
import { massLeave } from './mass-leave.mjs';
import { stalledMember } from './stalled-member.mjs';
import { stalledRoom } from './stalled-room.mjs';

/**
 * @typedef {object} Case
 * @property {string} name what `--case` takes
 * @property {string} title
 * @property {string} [about] what the title does not say of how it is measured
 * @property {object} parameters of the load generator, for the page
 * @property {(bench: object) => Promise<object[]>} run measures; its samples are all that is kept
 * @property {(samples: object[]) => { columns: string[], rows: unknown[][] }} table
 * @property {(samples: object[]) => Check[]} checks
 *
 * @typedef {object} Check one row of the table of targets, worked out from samples
 * @property {string} what
 * @property {Record<string, string>} values by server
 * @property {number} [ratio] to the bare server
 * @property {string} target
 * @property {boolean} [reached] absent where nothing was asked for
 */

/** In the order of the page. @type {readonly Case[]} */
export const CASES = [
  oneRoom,
  busyRoom,
  smallRooms,
  pairs,
  middleRooms,
  connections,
  heartbeats,
  crowd,
  massLeave,
  stalledRoom,
  stalledMember,
  flood,
  largeFlood,
  ladder,
];

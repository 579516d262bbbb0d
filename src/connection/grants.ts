import type { Grant } from '../auth/grant.js';
import { reject, type Rejection } from '../handlers/rejection.js';
import type { ConnectionContext } from './context.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';

/** Why a connection may not be in some of the rooms; undefined where it may. */
export function refusedToJoin(rooms: readonly string[], context: ConnectionContext): Rejection | undefined {
  return refused(context, (grant) => rooms.every((room) => grant.mayJoin(room)));
}

/** Why a connection may not publish to the room; undefined where it may. */
export function refusedToPublish(room: string, context: ConnectionContext): Rejection | undefined {
  return refused(context, (grant) => (room === GLOBAL_ROOM ? grant.mayPublishGlobally() : grant.mayPublish(room)));
}

/** A grant may be anybody's code: where it fails, nothing is done, and the connection lives on. */
function refused({ pod, id, access }: ConnectionContext, isGranted: (grant: Grant) => boolean): Rejection | undefined {
  if (access === undefined) return undefined;
  try {
    return isGranted(access.grant) ? undefined : reject('forbidden', 'the token does not grant this');
  } catch (error) {
    pod.log.error({ err: error, connection: id }, 'authorization failed');
    return reject('unavailable', 'it is not known whether this is granted');
  }
}

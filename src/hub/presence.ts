import { Observable, catchError, filter, ignoreElements, mergeMap } from 'rxjs';
import type { MembershipEvent } from './hub.js';
import type { Pod } from '../pod.js';
import { writeServerMessage } from './server-message.js';

/**
 * Tells rooms who comes and goes, through the broker like everything else.
 *
 * A room with more than `maxMembers` members on this pod is not told: there, presence would cost more than what is said.
 * A publish that fails is not told either; the broker's trouble is told by its own `gap`.
 *
 * @returns never emits; presence is told as long as it is subscribed to
 */
export function presence({ hub, broker, world, log }: Pod, maxMembers: number): Observable<never> {
  const tell = ({ kind, room, clientId }: MembershipEvent) =>
    broker.publish(room, writeServerMessage({ type: 'presence', room, data: { status: kind, clientId } }, world)).pipe(
      catchError((error: unknown) => {
        log.debug({ err: error, room }, 'presence not told');
        return [];
      }),
    );
  return hub.membership$.pipe(
    filter(({ members }) => members <= maxMembers),
    mergeMap(tell),
    ignoreElements(),
  );
}

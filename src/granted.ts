import { reject, type Rejection } from './message.js';
import type { ConnectionContext } from './pod.js';

/**
 * Why a connection's token does not let it do something, or undefined. A grant may be anybody's code: where it fails, the thing is
 * not done, and the connection lives on.
 */
export function refusalOf(isGranted: () => boolean, { pod, id }: ConnectionContext): Rejection | undefined {
  try {
    return isGranted() ? undefined : reject('forbidden', 'the token does not grant this');
  } catch (error) {
    pod.log.error({ err: error, connection: id }, 'authorization failed');
    return reject('unavailable', 'it is not known whether this is granted');
  }
}

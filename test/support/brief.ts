import type { Envelope } from '../../src/protocol/protocol.js';
import type { Outbound } from '../../src/connection/transport.js';
import { readable } from './pod.js';

/**
 * What a connection asks of its socket, short enough for a row of marbles: `welcome`, `chat hello`, `error invalid_json ref`,
 * `presence online ada`, `joined tea`, `gap slow_consumer`, `ping`, `pause`, `shut 4000`; several messages of one write are joined by ` + `.
 */
export function brief(outbound: Outbound): string {
  if (outbound.kind === 'shut') return `shut ${outbound.code}${outbound.now ? ' now' : ''}`;
  if (outbound.kind !== 'batch') return outbound.kind;
  return (readable(outbound) as Envelope[]).map(briefMessage).join(' + ');
}

function briefMessage({ type, data }: Envelope): string {
  const { content, code, ref, event, reason, room, status, clientId } = data as Record<string, string | undefined>;
  const words =
    type === 'system'
      ? [event, reason, room]
      : type === 'error'
        ? [type, code, ref]
        : type === 'presence'
          ? [type, status, clientId]
          : [type, content];
  return words.filter((word) => word !== undefined).join(' ');
}

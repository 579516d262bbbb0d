import { VARIABLES } from './variables.js';

/** An environment variable that the service does not read, though it looks like one that it does. */
export interface Misspelt {
  readonly name: string;
  /** The variable that is closest to it; undefined where none is close. */
  readonly meant: string | undefined;
}

const NAMES: readonly string[] = Object.values(VARIABLES).map(({ name }) => name);

/** Prefixes that only variables of this service have, by custom; others, like `HOST`, are everybody's. */
const OUR_PREFIXES = /^(REDIS|AUTH|CHAT|MAX|SEND_BUFFER|PUBLISH|PRESENCE|SHUTDOWN|PING|PONG|UPGRADE|METRICS|SLOW_CONSUMER)_/;

/** The name of this service, which some put before each variable. */
const SERVICE_PREFIX = /^CHAT_(API_)?/;

/** Variables that npm, Kubernetes (for each service in the namespace) and Docker (`--link`) set. */
const SET_BY_PLATFORMS = /^npm_|_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$|^[A-Z_]+_ENV_/;

/** The value of `REDIS_PORT` where Kubernetes sets it for a service called `redis`. */
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

/** Other services take these one by one. */
const PART_OF_REDIS_URL = /^REDIS_(HOST(NAME)?|PORT|USER(NAME)?|PASS(WORD)?|DB|DATABASE|TLS|SSL)$/;

/** A variable with a name of at most this many characters is meant where one edit separates it from another name, else where two do. */
const SHORT_NAME = 6;

/** Finds variables that are perhaps meant for the service: by their prefix, or because one or two edits separate them from a variable. */
export function misspeltVariables(environment: Readonly<Record<string, string | undefined>>): readonly Misspelt[] {
  return Object.entries(environment)
    .filter(([name, value = '']) => !NAMES.includes(name) && !SET_BY_PLATFORMS.test(name) && !SERVICE_ADDRESS.test(value))
    .flatMap(([name]) => {
      if (PART_OF_REDIS_URL.test(name)) return [{ name, meant: 'REDIS_URL' }];
      const { variable, edits } = closest(name);
      if (edits <= (variable.length <= SHORT_NAME ? 1 : 2)) return [{ name, meant: variable }];
      return OUR_PREFIXES.test(name) ? [{ name, meant: edits < variable.length / 2 ? variable : undefined }] : [];
    });
}

/** The variable that takes the fewest edits. Letter case, underscores and the name of the service count for nothing. */
function closest(name: string): { readonly variable: string; readonly edits: number } {
  const [bare, unprefixed] = [bareName(name), bareName(name.replace(SERVICE_PREFIX, ''))];
  return NAMES.map((variable) => {
    const ours = bareName(variable);
    return { variable, edits: Math.min(editDistance(bare, ours), editDistance(unprefixed, ours)) };
  }).reduce((best, each) => (each.edits < best.edits ? each : best));
}

function bareName(name: string): string {
  return name.toUpperCase().replaceAll('_', '');
}

/** The number of characters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  const edits = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = edits(i - 1, j - 1) + Number(a[i - 1] !== b[j - 1]);
      const areSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = areSwapped ? edits(i - 2, j - 2) + 1 : Infinity;
      row.push(Math.min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, replaced, swapped));
    }
  }
  return edits(a.length, b.length);
}

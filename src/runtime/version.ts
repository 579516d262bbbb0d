import { readFileSync } from 'node:fs';

/** The version of this package, as its package.json has it; `unknown` in a bundle, which has none beside it. */
export function packageVersion(): string {
  try {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    return (JSON.parse(text) as { readonly version: string }).version;
  } catch {
    return 'unknown';
  }
}

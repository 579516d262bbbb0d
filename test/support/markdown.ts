import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a page. */
export interface Block {
  /** The page, relative to the project. */
  readonly page: string;
  /** Where its text begins, from 1. */
  readonly line: number;
  /** What stands behind the fence; empty for what is no code. */
  readonly language: string;
  readonly text: string;
  /** The comment above it, where there is one: `<!-- file: src/poke.ts -->` is `file: src/poke.ts`. */
  readonly note: string;
}

/** The project's pages: everything in Markdown but what is kept of other projects or made. */
export function pages(): readonly string[] {
  const found = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.md'));
  return found.filter((path) => !/(^|\/)(node_modules|dist|docs\/api|bench)\//.test(path)).map((path) => relative('.', path));
}

export function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const fences = text.matchAll(/(?:<!-- ([^\n]*?) -->\n+)?^( *)```(\S*)\n(.*?)^ *```$/gms);
  return Array.from(fences, ({ index, 0: whole, 1: note = '', 3: language = '', 4: block = '' }) => ({
    page,
    line: text.slice(0, index + whole.indexOf('```')).split('\n').length + 1,
    language,
    text: block,
    note,
  }));
}

/** The files that a page has its reader write, by path. */
export function filesOf(page: string): ReadonlyMap<string, string> {
  const files = blocksOf(page).filter(({ note }) => note.startsWith('file: '));
  return new Map(files.map(({ note, text }) => [note.slice('file: '.length), text]));
}

/** The block with a note. */
export function noted(page: string, note: string): string {
  const block = blocksOf(page).find((each) => each.note === note);
  if (block === undefined) throw new Error(`${page} has no block with the note "${note}"`);
  return block.text;
}

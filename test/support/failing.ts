/** What a test that should fail says, without the blank space at the ends of its lines. */
export function failing(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(/ +$/gm, '') : String(error);
  }
  throw new Error('it did not fail');
}

/** Lines as a failure has them: without the indentation of the code around them. */
export function lines(text: string): string {
  const all = text.replace(/^\n/, '').replace(/\n *$/, '').split('\n');
  const indent = Math.min(...all.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length));
  return all.map((line) => line.slice(indent).trimEnd()).join('\n');
}

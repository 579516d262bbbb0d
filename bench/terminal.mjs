/** Runs a step and tells on the terminal that it has begun, and then how it came out. */
export async function progress(label, step, brief) {
  const beganMs = Date.now();
  process.stdout.write(`  ${label} ... `);
  try {
    const outcome = await step();
    process.stdout.write(`${brief(outcome)} (${seconds(Date.now() - beganMs)})\n`);
    return outcome;
  } catch (error) {
    process.stdout.write('failed\n');
    throw error;
  }
}

export function seconds(ms) {
  return `${(ms / 1000).toFixed(0)} s`;
}

/** A table in columns as wide as their widest cell. */
export function printTable({ columns, rows }) {
  const lines = [columns, ...rows].map((cells) => cells.map(String));
  const widths = columns.map((_, column) => Math.max(...lines.map((cells) => cells[column].length)));
  for (const cells of lines) console.log(`  ${cells.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd());
}

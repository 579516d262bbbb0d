/** @returns the text without a password: that stands before an `@`, or in the query of a URL */
export function masked(name: string, given: string): string {
  if (name.includes('SECRET')) return '***';
  const shown = given.replace(/^([\w+.-]+:\/\/)?.*@/s, '$1***@');
  if (!name.endsWith('_URL')) return shown;
  // An `@` after a `?` or `#` does not tell where the password ends.
  return /[?#].*@/s.test(given) ? given.replace(/^([\w+.-]+:\/\/)?.*/s, '$1***') : shown.replace(/([?#]).*/s, '$1***');
}

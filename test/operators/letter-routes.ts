import { map, type OperatorFunction } from 'rxjs';

export type Operator = OperatorFunction<string, string>;

/** Values are letters: those of one key are a letter's two cases, 'p' passes where something does. */
export const key = (value: string) => value.toLowerCase();

export const fromRoute = (at: string): Operator => map((value) => `${at}:${value}`);

/** A route that fails with each capital. */
export const fragile: Operator = map((value) => {
  if (value !== value.toLowerCase()) throw new Error('capital');
  return value;
});

export const recover = (error: unknown, at: string, value: string | undefined) =>
  `${String(error)} in ${at} with ${value ?? 'nothing'}`;

/**
 * A set for mostly none or one element, such as the members of a small room: undefined, the element itself, or a `Set`.
 * An empty `Set` takes about 200 bytes, which adds up in a pod with 200,000 rooms. The elements must not be `Set`s themselves.
 */
export type SmallSet<T extends object> = undefined | T | Set<T>;

export function withAdded<T extends object>(set: SmallSet<T>, element: T): SmallSet<T> {
  if (set === undefined || set === element) return element;
  if (set instanceof Set) return set.add(element);
  return new Set([set, element]);
}

export function withRemoved<T extends object>(set: SmallSet<T>, element: T): SmallSet<T> {
  if (set === element) return undefined;
  if (set instanceof Set) {
    set.delete(element);
    if (set.size === 0) return undefined;
  }
  return set;
}

export function has<T extends object>(set: SmallSet<T>, element: T): boolean {
  return set === element || (set instanceof Set && set.has(element));
}

export function sizeOf(set: SmallSet<object>): number {
  return set === undefined ? 0 : set instanceof Set ? set.size : 1;
}

/** The elements. Copy them before changing the set in a loop. */
export function elementsOf<T extends object>(set: SmallSet<T>): Iterable<T> {
  return set === undefined ? [] : set instanceof Set ? set : [set];
}

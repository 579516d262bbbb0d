/**
 * A set that mostly has no element or one, as the members of a small room: nothing, the element itself, or a `Set`.
 * An empty `Set` takes some 200 bytes, which a pod with 200,000 rooms would feel. The elements are objects, and no `Set`s.
 */
export type SmallSet<T extends object> = undefined | T | Set<T>;

export function withAdded<T extends object>(few: SmallSet<T>, element: T): SmallSet<T> {
  if (few === undefined || few === element) return element;
  if (few instanceof Set) return few.add(element);
  return new Set([few, element]);
}

export function withRemoved<T extends object>(few: SmallSet<T>, element: T): SmallSet<T> {
  if (few === element) return undefined;
  if (few instanceof Set) {
    few.delete(element);
    if (few.size === 0) return undefined;
  }
  return few;
}

export function has<T extends object>(few: SmallSet<T>, element: T): boolean {
  return few === element || (few instanceof Set && few.has(element));
}

export function sizeOf(few: SmallSet<object>): number {
  return few === undefined ? 0 : few instanceof Set ? few.size : 1;
}

/** To go over them; who changes the set meanwhile goes over a copy. */
export function elementsOf<T extends object>(few: SmallSet<T>): Iterable<T> {
  return few === undefined ? [] : few instanceof Set ? few : [few];
}

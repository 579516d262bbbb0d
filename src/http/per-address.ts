/** Counts the connections of each address, pending upgrades included, against a limit. */
export class PerAddressLimit {
  readonly #most: number;
  readonly #taken = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  isFull(address: string): boolean {
    return this.#count(address) >= this.#most;
  }

  take(address: string): void {
    this.#taken.set(address, this.#count(address) + 1);
  }

  release(address: string): void {
    const left = this.#count(address) - 1;
    if (left > 0) this.#taken.set(address, left);
    else this.#taken.delete(address);
  }

  #count(address: string): number {
    return this.#taken.get(address) ?? 0;
  }
}

import { PublishError } from '../../src/broker/broker.js';
import { RoundTrip } from '../../src/hub/round-trip.js';

/** A publish under way that says what became of it: `done`, or the code of its error. */
export class TestTrip extends RoundTrip {
  readonly #tell: (outcome: string) => void;

  constructor(id: string, bytes: number, tell: (outcome: string) => void = () => undefined) {
    super(id, bytes);
    this.#tell = tell;
  }

  protected override succeeded(): void {
    this.#tell('done');
  }

  protected override failed(error: unknown): void {
    this.#tell(error instanceof PublishError ? error.code : String(error));
  }
}

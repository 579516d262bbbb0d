/**
 * A diagram that did not come true, or makes no sense. Its message is all there is to read.
 *
 * It is not called AssertionError and has neither `actual` nor `expected`: test runners would take it apart and print JSON.
 */
export class MarbleError extends Error {
  override readonly name = 'MarbleError';
}

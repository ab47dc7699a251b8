/** An error that the operator can correct, reported by its message without a stack trace. */
export class Failure extends Error {
  override name = "Failure";
}

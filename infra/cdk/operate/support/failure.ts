/** Something that the operator can mend. The message says what; there is no stack to read. */
export class Failure extends Error {
  override name = "Failure";
}

/**
 * What is wrong with how a command was called.
 *
 * @module
 */

/** Its message is for the person at the keyboard. The command ends with status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The command whose help says more. */
  readonly command: string;

  constructor(message: string, command: string) {
    super(message);
    this.command = command;
  }
}

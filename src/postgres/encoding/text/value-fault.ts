/** A value that its column cannot take, noticed before it is sent. Inside `postgres/` only: it becomes a `CopyError`. */
export class ValueFault extends Error {
  override readonly name = 'ValueFault';
  /** The SQLSTATE that the server has for it. */
  readonly sqlState: string;

  /** @param message what the value does: "holds …", "is …", "cannot be …" */
  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

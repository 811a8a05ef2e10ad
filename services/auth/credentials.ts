/** Somebody whose credentials were right. */
export interface Identity {
  readonly user: string
  readonly groups: readonly string[]
}

/** Knows users and their passwords. */
export interface CredentialStore {
  /**
   * Undefined when there is no such user or the password is another; which of the two, the answer does not tell, nor
   * does the time it takes.
   *
   * @param address of the client: who guesses from there is slowed down
   * @throws {OciError} TOOMANYREQUESTS after too many guesses, UNAVAILABLE when users cannot be looked up
   */
  verify (user: string, password: string, address: string): Promise<Identity | undefined>
  close (): Promise<void>
}

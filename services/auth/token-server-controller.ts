import type { AccessController, AccessRecord, AccessRequest, Grant } from './access.js'
import { parseBasic } from './basic.js'
import type { BasicController } from './basic-controller.js'
import { AccessRefused } from './refusal.js'
import type { TokenController } from './token.js'
import type { TokenServer } from './token-server.js'

export interface TokenServerControllerOptions {
  readonly tokens: TokenController
  /** Takes user and password with each request; undefined where that is switched off. */
  readonly passwords: BasicController | undefined
  readonly tokenServer: TokenServer
  readonly close: () => Promise<void>
}

/**
 * Access to a registry with a token server of its own: by token, and by password for those who send one without being
 * asked. The challenge is always the token server's: docker would never get an anonymous token after another.
 */
export class TokenServerController implements AccessController {
  readonly tokenServer: TokenServer
  readonly #tokens: TokenController
  readonly #passwords: BasicController | undefined
  readonly #close: () => Promise<void>

  constructor ({ tokens, passwords, tokenServer, close }: TokenServerControllerOptions) {
    this.tokenServer = tokenServer
    this.#tokens = tokens
    this.#passwords = passwords
    this.#close = close
  }

  /** @throws {OciError} as {@link TokenController.authorize}; for passwords also DENIED, and what looking them up throws */
  authorize (request: AccessRequest, records: readonly AccessRecord[]): Grant | Promise<Grant> {
    // Without a name it is a stranger, and strangers need a token too.
    const isPassword = (parseBasic(request.headers.authorization)?.user ?? '') !== ''
    return isPassword && this.#passwords !== undefined ? this.#byPassword(this.#passwords, request, records) : this.#tokens.authorize(request, records)
  }

  /** Wrong ones are answered as no token is: whoever means to get one is told where. */
  async #byPassword (passwords: BasicController, request: AccessRequest, records: readonly AccessRecord[]): Promise<Grant> {
    try {
      return await passwords.authorize(request, records)
    } catch (error) {
      if (!(error instanceof AccessRefused) || error.code !== 'UNAUTHORIZED') throw error
      throw this.#tokens.refusal(request, records, { claimed: error.claimed, cause: error })
    }
  }

  async close (): Promise<void> {
    await this.#close()
  }
}

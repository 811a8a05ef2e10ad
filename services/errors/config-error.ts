/**
 * A configuration the registry cannot start with. The message is one line that names the key; the standalone server
 * prints it and exits with status 1, an embedding host gets it as the rejection of `app.ready()`.
 */
export class ConfigError extends Error {
  constructor (message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ConfigError'
  }
}

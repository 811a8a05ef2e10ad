import type { RegistryConfig } from '../../schemas/config/index.js'

export type GcsOptions = NonNullable<RegistryConfig['storage']['gcs']>

/** What is wrong with the parameters beyond what the schema sees, one line each. */
export function gcsProblems ({ gcs }: RegistryConfig['storage']): string[] {
  if (gcs === undefined) return []
  const { keyfile, credentials, endpoint } = gcs
  const wrong: Record<string, boolean> = {
    'keyfile: stands for credentials; give one of them': keyfile !== undefined && credentials !== undefined,
    'credentials: is no credential of Google\'s; a type is needed, for example service_account': credentials !== undefined && typeof credentials['type'] !== 'string',
    'endpoint: a URL without a path is needed': !isOrigin(endpoint)
  }
  return Object.entries(wrong).filter(([, isWrong]) => isWrong).map(([text]) => `storage.gcs.${text}`)
}

/** For messages and the banner: where the bucket is, without anything secret. */
export function gcsLocation ({ bucket, rootdirectory = '', endpoint }: GcsOptions): string {
  return `gs://${[bucket, ...rootdirectory.split('/').filter(name => name !== '')].join('/')} at ${new URL(endpoint).host}`
}

function isOrigin (text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search } = new URL(text)
  return /^https?:$/.test(protocol) && pathname === '/' && search === ''
}

import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'

export type AzureOptions = NonNullable<RegistryConfig['storage']['azure']>

/** The service is asked once a copy that is not done at once, for about two minutes; docker's registry gives up after 1.5 seconds. */
const COPY_POLLS = 50
const COPY_DELAY_MS = 100

export interface CopyPolling { readonly polls: number, readonly delayMs: number }

/** What is wrong with the parameters beyond what the schema sees, one line each. */
export function azureProblems ({ azure }: RegistryConfig['storage']): string[] {
  if (azure === undefined) return []
  const { accountkey, credentials: { type, clientid, tenantid, secret } } = azure
  const isSecret = type === 'client_secret'
  const wrong: Record<string, boolean> = {
    'accountkey: is missing; give it, or credentials of another type than shared_key': type === 'shared_key' && accountkey === undefined,
    'accountkey: is no base64': accountkey !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(accountkey),
    'credentials.clientid: is missing; client_secret needs it': isSecret && clientid === undefined,
    'credentials.tenantid: is missing; client_secret needs it': isSecret && tenantid === undefined,
    'credentials.secret: is missing; client_secret needs it': isSecret && secret === undefined,
    'serviceurl: a URL is needed': !isUrl(serviceUrl(azure)),
    'max_retries: is another name of copy_status_poll_max_retry; give one of them': azure.max_retries !== undefined && azure.copy_status_poll_max_retry !== undefined,
    'retry_delay: is another name of copy_status_poll_delay; give one of them': azure.retry_delay !== undefined && azure.copy_status_poll_delay !== undefined
  }
  return Object.entries(wrong).filter(([, isWrong]) => isWrong).map(([text]) => `storage.azure.${text}`)
}

export function serviceUrl ({ accountname, realm, serviceurl }: AzureOptions): string {
  return (serviceurl ?? `https://${accountname}.blob.${realm}`).replace(/\/+$/, '')
}

export function copyPolling ({ max_retries: maxRetries, copy_status_poll_max_retry: polls = maxRetries, retry_delay: retryDelay, copy_status_poll_delay: delay = retryDelay }: AzureOptions): CopyPolling {
  return { polls: polls === undefined || polls === 0 ? COPY_POLLS : polls, delayMs: delay === undefined ? COPY_DELAY_MS : parseDuration(delay) }
}

/** For messages and the banner: where the container is, without anything secret. */
export function azureLocation (options: AzureOptions): string {
  const { container, rootdirectory = '' } = options
  return `azure://${[container, ...rootdirectory.split('/').filter(name => name !== '')].join('/')} at ${new URL(serviceUrl(options)).host}`
}

function isUrl (text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

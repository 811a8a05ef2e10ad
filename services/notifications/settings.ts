import { hostname } from 'node:os'
import { join } from 'node:path'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import type { EndpointSettings } from './endpoint.js'

type NotificationsConfig = RegistryConfig['notifications']
type EndpointConfig = NotificationsConfig['endpoints'][number]

/** What is wrong with the notifications of a configuration that is valid otherwise. One line each. */
export function notificationProblems ({ notifications: { endpoints, queue, directory }, storage }: RegistryConfig): string[] {
  const isHomeless = queue === 'disk' && directory === undefined && storage.filesystem === undefined
  return [
    ...endpoints.flatMap(({ url, disabled }, i) => disabled ? [] : urlProblem(url, `notifications.endpoints[${i}]`)),
    ...(isHomeless ? ['notifications.directory: is needed for queue: disk, unless storage.filesystem is used'] : [])
  ]
}

/** The endpoints that are not disabled, complete, each under a name of its own. */
export function endpointSettings ({ endpoints }: NotificationsConfig): EndpointSettings[] {
  const taken = new Set<string>()
  return endpoints.filter(({ disabled }) => !disabled).map(endpoint => settingsOf(endpoint, taken))
}

function settingsOf (endpoint: EndpointConfig, taken: Set<string>): EndpointSettings {
  const { name, url = '', headers, timeout, threshold, backoff, ignoredmediatypes, ignore, format, secret } = endpoint
  const wanted = name === undefined || name === '' ? new URL(url).host : name
  let unique = wanted
  for (let i = 2; taken.has(unique); i++) unique = `${wanted}-${i}`
  taken.add(unique)
  return {
    name: unique,
    url,
    headers,
    timeout: positive(parseDuration(timeout), 1000),
    threshold: positive(threshold, 10),
    backoff: positive(parseDuration(backoff), 1000),
    format,
    secret,
    ignore: { mediatypes: [...ignoredmediatypes, ...ignore.mediatypes], actions: ignore.actions }
  }
}

/** What is not above zero means the default, as in the reference. Timers know no more than 31 bits. */
function positive (value: number, otherwise: number): number {
  return value > 0 ? Math.min(value, 2 ** 31 - 1) : otherwise
}

function urlProblem (url: string | undefined, at: string): string[] {
  if (url === undefined || url === '') return [`${at}.url: is missing`]
  // What it is stays unsaid: it may hold a password.
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? [] : [`${at}.url: a URL of http or https is needed`]
}

/** Where the disk queue is: beside the data of the registry, where docker's registry does not look. */
export function journalDirectory ({ notifications, storage }: RegistryConfig): string {
  return notifications.directory ?? join(storage.filesystem?.rootdirectory ?? '', 'notifications')
}

/** The standalone server keeps events where it keeps the data, if nothing else is said. */
export function withStandaloneQueue (config: RegistryConfig): RegistryConfig {
  const { notifications, storage } = config
  const queue = notifications.queue ?? (storage.filesystem === undefined ? 'memory' : 'disk')
  return { ...config, notifications: { ...notifications, queue } }
}

/** `<hostname>:<port>`, which names the server in its events; of a Unix socket the hostname alone. */
export function sourceAddress (port: number | undefined): string {
  return port === undefined ? hostname() : `${hostname()}:${port}`
}

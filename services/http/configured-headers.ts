/** What `http.headers` adds to answers: a name and its value, or its values. */
export type ConfiguredHeader = readonly [name: string, value: string | string[]]

/** RFC 9113 §8.2.2: HTTP/2 has no headers about the connection, and Node throws where it is given one. */
const OF_CONNECTION = new Set(['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])

/** `http.headers`, by the version of HTTP that the request was made in. */
export function configuredHeaders (headers: Readonly<Record<string, readonly string[]>>): (version: number) => readonly ConfiguredHeader[] {
  const all = Object.entries(headers).map(([name, values]): ConfiguredHeader => [name, values.length === 1 ? values[0] as string : [...values]])
  const some = all.filter(([name]) => !OF_CONNECTION.has(name.toLowerCase()))
  return version => version === 2 ? some : all
}

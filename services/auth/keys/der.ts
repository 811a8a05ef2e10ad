/** One extension of a certificate (RFC 5280, 4.2). */
export interface Extension { readonly oid: string, readonly isCritical: boolean, readonly value: Buffer }

interface Element { readonly tag: number, readonly content: Buffer }

/**
 * The extensions of a certificate, which Node does not show. The certificate has been parsed by OpenSSL before, so its
 * structure is sound; whatever is not is an error.
 *
 * @throws {RangeError}
 */
export function extensionsOf (certificate: Buffer): Extension[] {
  const [outer] = elements(certificate)
  const [body] = elements(contentOf(outer))
  // TBSCertificate has its extensions in [3].
  const tagged = elements(contentOf(body)).find(({ tag }) => tag === 0xa3)
  if (tagged === undefined) return []
  const [list] = elements(tagged.content)
  return elements(contentOf(list)).map(({ content }) => {
    const parts = elements(content)
    return {
      oid: contentOf(parts[0]).toString('hex'),
      isCritical: parts.some(({ tag, content }) => tag === 0x01 && content[0] === 0xff),
      value: contentOf(parts.at(-1))
    }
  })
}

/** The algorithm a certificate is signed with, as an object identifier in hex. */
export function signatureOid (certificate: Buffer): string {
  const [outer] = elements(certificate)
  const [, algorithm] = elements(contentOf(outer))
  const [oid] = elements(contentOf(algorithm))
  return contentOf(oid).toString('hex')
}

/** The largest number of intermediate authorities below one (`pathLenConstraint`); undefined when there is no limit. */
export function pathLength (basicConstraints: Buffer): number | undefined {
  const [sequence] = elements(basicConstraints)
  const limit = elements(contentOf(sequence)).find(({ tag }) => tag === 0x02)
  return limit === undefined ? undefined : limit.content.readUIntBE(0, Math.min(limit.content.length, 6))
}

function contentOf (element: Element | undefined): Buffer {
  if (element === undefined) throw new RangeError('no such element')
  return element.content
}

function elements (der: Buffer): Element[] {
  const found: Element[] = []
  let at = 0
  while (at < der.length) {
    const tag = der.readUInt8(at)
    const short = der.readUInt8(at + 1)
    const lengthBytes = short < 0x80 ? 0 : short & 0x7f
    const length = lengthBytes === 0 ? short : der.readUIntBE(at + 2, lengthBytes)
    const start = at + 2 + lengthBytes
    if (start + length > der.length) throw new RangeError('an element is longer than its container')
    found.push({ tag, content: der.subarray(start, start + length) })
    at = start + length
  }
  return found
}

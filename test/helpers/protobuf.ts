/** A field of a message: a number, or the bytes of a text or of a message inside it. */
export type Field = bigint | Buffer

/** The fields of a message by their numbers, in order: what there is to protobuf without a schema. */
export function fieldsOf (message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('the message ends in the middle of a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const bytes = (length: number): Buffer => {
    if (at + length > message.length) throw new RangeError('the message ends in the middle of a field')
    at += length
    return message.subarray(at - length, at)
  }
  const read: Record<number, () => Field> = {
    0: varint,
    1: () => bytes(8).readBigUInt64LE(),
    2: () => bytes(Number(varint())),
    5: () => BigInt(bytes(4).readUInt32LE())
  }
  while (at < message.length) {
    const key = Number(varint())
    const field = read[key & 7]?.()
    if (field === undefined) throw new TypeError(`no such wire type: ${key & 7}`)
    fields.set(key >> 3, [...fields.get(key >> 3) ?? [], field])
  }
  return fields
}

import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand,
  DeleteObjectsCommand, GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client, UploadPartCommand
} from '@aws-sdk/client-s3'

const PART_BYTES = 10 * 1024 * 1024
const IN_FLIGHT = 4

/** What a program does that has nothing but the SDK: parts of 10 MiB, four at a time, as its own upload library has them. */
export class BareStore {
  #client
  #bucket

  constructor ({ regionendpoint, bucket, accesskey, secretkey }) {
    this.#client = new S3Client({
      endpoint: regionendpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: accesskey, secretAccessKey: secretkey },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED'
    })
    this.#bucket = bucket
  }

  async createBucket () {
    await this.#client.send(new CreateBucketCommand({ Bucket: this.#bucket }))
  }

  async push (key, bytes) {
    const at = { Bucket: this.#bucket, Key: key }
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(at))
    const Parts = []
    let next = 0
    const worker = async () => {
      while (next * PART_BYTES < bytes.length) {
        const number = next++
        const Body = bytes.subarray(number * PART_BYTES, (number + 1) * PART_BYTES)
        const { ETag } = await this.#client.send(new UploadPartCommand({ ...at, UploadId, PartNumber: number + 1, Body }))
        Parts[number] = { ETag, PartNumber: number + 1 }
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
    await this.#client.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }))
  }

  async pull (key) {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }))
    let bytes = 0
    for await (const chunk of Body) bytes += chunk.length
    return bytes
  }

  /** With everything in it. */
  async removeBucket () {
    const Bucket = this.#bucket
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket }))
    for (const { Key, UploadId } of Uploads) await this.#client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
    for (;;) {
      const { Contents = [] } = await this.#client.send(new ListObjectsV2Command({ Bucket }))
      if (Contents.length === 0) break
      await this.#client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } }))
    }
    await this.#client.send(new DeleteBucketCommand({ Bucket }))
    this.#client.destroy()
  }
}

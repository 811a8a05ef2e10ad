#!/usr/bin/env bash
# Three replicas of the registry on one machine, on one bucket and one Redis, and nginx in front of them that sends every
# request to the next one. Runs in the foreground: prints `ready` and the address when requests are answered; an
# interrupt, SIGTERM or the end of standard input stops all of it.
# usage: start.sh DIRECTORY
#   PORTS="5000 5001 5002 5003 5006 5007 5008"  of nginx, the replicas, Redis, the S3 server and its monitor
#   S3_ENDPOINT, S3_BUCKET, S3_ACCESSKEY, S3_SECRETKEY, S3_REGION  a bucket of your own; without, Ceph is started, as root
#   REGISTRY_*  goes to the replicas, as ever
set -euo pipefail
mkdir -p "${1:?directory}"
directory=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
read -r front first second third redis s3 monitor <<< "${PORTS:-5000 5001 5002 5003 5006 5007 5008}"
export PATH=$PATH:/usr/sbin # where nginx is
pids=()
exec 3<&0 # a background job gets no standard input of its own

stop () {
  trap - EXIT TERM INT
  if [ "${#pids[@]}" -eq 0 ]; then return; fi
  kill -TERM "${pids[@]}" 2> /dev/null || true
  # What does not stop by itself, for instance because it waits for a store that does not answer.
  (sleep 10; kill -KILL "${pids[@]}") > /dev/null 2>&1 3<&- & local killer=$!
  wait "${pids[@]}" 2> /dev/null || true
  kill "$killer" 2> /dev/null || true
}
trap stop EXIT
trap 'exit 0' TERM INT

# log NAME PATTERN: waits, at most a minute, until the log of that name has such a line.
log () {
  local tries
  for tries in $(seq 300); do
    if grep -q "$2" "$directory/$1.log" 2> /dev/null; then return; fi
    sleep 0.2
  done
  echo "$1 did not start:" >&2
  cat "$directory/$1.log" >&2
  exit 1
}

if [ -z "${S3_ENDPOINT:-}" ]; then
  "$root/scripts/ceph-rgw.sh" "$directory/s3" "$s3" "$monitor" <&3 > "$directory/s3.log" 2>&1 & pids+=($!)
  S3_ENDPOINT=http://127.0.0.1:$s3 S3_BUCKET=registry S3_ACCESSKEY=AK S3_SECRETKEY=SK
  log s3 '^ready'
  (cd "$root" && node --input-type=module -e '
    import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
    const [endpoint, Bucket, accessKeyId, secretAccessKey] = process.argv.slice(1)
    const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
    await client.send(new CreateBucketCommand({ Bucket }))
  ' "$S3_ENDPOINT" "$S3_BUCKET" "$S3_ACCESSKEY" "$S3_SECRETKEY")
fi

# In memory alone: what was locked or remembered means nothing after a restart.
redis-server --port "$redis" --bind 127.0.0.1 --save '' --appendonly no --dir "$directory" --maxmemory 100mb --maxmemory-policy allkeys-lru \
  > "$directory/redis.log" 2>&1 & pids+=($!)
log redis 'Ready to accept connections'

export REGISTRY_STORAGE_S3_REGIONENDPOINT=$S3_ENDPOINT REGISTRY_STORAGE_S3_BUCKET=${S3_BUCKET:?} REGISTRY_STORAGE_S3_REGION=${S3_REGION:-us-east-1}
export REGISTRY_STORAGE_S3_ACCESSKEY=${S3_ACCESSKEY:?} REGISTRY_STORAGE_S3_SECRETKEY=${S3_SECRETKEY:?} REGISTRY_REDIS_ADDR=127.0.0.1:$redis
for port in "$first" "$second" "$third"; do
  REGISTRY_HTTP_ADDR=127.0.0.1:$port node "$root/dist/cli.js" serve "$here/config.yml" > "$directory/replica-$port.log" 2>&1 & pids+=($!)
  echo "replica http://127.0.0.1:$port process $!"
done
for port in "$first" "$second" "$third"; do log "replica-$port" 'listens on'; done

mkdir -p "$directory/temp"
sed -e "s/:5000;/:$front;/" -e "s/:5001 /:$first /" -e "s/:5002 /:$second /" -e "s/:5003 /:$third /" "$here/nginx.conf" > "$directory/nginx.conf"
nginx -e stderr -p "$directory" -c nginx.conf -g 'daemon off;' > "$directory/nginx.log" 2>&1 & pids+=($!)
until curl -sf -o /dev/null "http://127.0.0.1:$front/v2/"; do
  kill -0 $! 2> /dev/null || { cat "$directory/nginx.log" >&2; exit 1; }
  sleep 0.1
done
echo "ready http://127.0.0.1:$front"
# Until whoever started it closes the pipe, or is gone.
cat <&3 > /dev/null & pids+=($!)
wait $!

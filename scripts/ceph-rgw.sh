#!/usr/bin/env bash
# An S3 server for tests: Ceph's gateway with one monitor and one object store in memory, on loopback, with the keys
# AK and SK. Needs radosgw, ceph-mon, ceph-osd and root. Runs in the foreground: prints `ready` when requests are
# answered; SIGTERM, or the end of standard input, stops all of it.
# usage: ceph-rgw.sh DIRECTORY S3-PORT MONITOR-PORT
set -euo pipefail
directory=${1:?directory} port=${2:?port of the gateway} monitor=${3:?port of the monitor}
mkdir -p "$directory"/{mon,osd,run}
cd "$directory"
pids=()
exec 3<&0 # a background job gets no standard input of its own

stop () {
  trap - EXIT TERM INT
  if [ "${#pids[@]}" -gt 0 ]; then kill -KILL "${pids[@]}" 2> /dev/null || true; fi
  wait 2> /dev/null || true
}
trap stop EXIT
trap 'exit 0' TERM INT

cat > ceph.conf <<EOF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:127.0.0.1:$monitor/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_supported = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
auth_allow_insecure_global_id_reclaim = false
mon_max_pg_per_osd = 2000
mon_warn_on_pool_no_redundancy = false
osd_objectstore = memstore
memstore_device_bytes = 4294967296
run_dir = $directory/run
admin_socket = $directory/run/\$name.asok
log_file = $directory/\$name.log
pid_file = $directory/run/\$name.pid
mon_data = $directory/mon
osd_data = $directory/osd
keyring = $directory/keyring
osd_class_load_list = *
osd_class_default_list = *
[mon.a]
[osd.0]
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_run_sync_thread = false
rgw_lc_debug_interval = -1
# What was deleted is gone soon: all of it is in memory.
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 2
rgw_gc_processor_max_time = 2
EOF

# try COMMAND [ARGUMENT ...]: until it succeeds, at most half a minute.
try () {
  local tries
  for tries in $(seq 100); do
    if "$@" > try.log 2>&1; then return; fi
    sleep 0.3
  done
  echo "does not succeed: $*" >&2
  cat try.log >&2
  return 1
}

osd_is_up () { timeout 5 ceph -c ceph.conf osd stat | grep -q '1 up'; }

fsid=$(awk '/^fsid/ { print $3 }' ceph.conf)
monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor]" monmap > setup.log
ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *' >> setup.log
ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >> setup.log
ceph-authtool keyring --gen-key -n client.rgw --cap mon 'allow *' --cap osd 'allow *' >> setup.log
ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' >> setup.log
ceph-mon -c ceph.conf --mkfs -i a --monmap monmap --keyring keyring >> setup.log 2>&1
ceph-mon -c ceph.conf -i a -f > mon.log 2>&1 < /dev/null & pids+=($!)
try timeout 5 ceph -c ceph.conf -s
osd=$(cat /proc/sys/kernel/random/uuid)
try timeout 10 ceph -c ceph.conf osd new "$osd" 0
ceph-osd -c ceph.conf -i 0 --mkfs --osd-uuid "$osd" >> setup.log 2>&1
ceph -c ceph.conf auth add osd.0 mon 'allow profile osd' osd 'allow *' -i keyring >> setup.log 2>&1 || true
ceph -c ceph.conf osd crush add osd.0 1.0 host=h root=default >> setup.log 2>&1
ceph-osd -c ceph.conf -i 0 -f > osd.log 2>&1 < /dev/null & pids+=($!)
try osd_is_up
radosgw-admin -c ceph.conf -n client.rgw user create --uid=test --display-name=test --access-key=AK --secret-key=SK > user.json 2>> setup.log
radosgw -c ceph.conf -n client.rgw -f > rgw.log 2>&1 < /dev/null & pids+=($!)
try curl -s -o /dev/null "http://127.0.0.1:$port/"
echo ready
# Until whoever started it closes the pipe, or is gone.
cat <&3 > /dev/null & pids+=($!)
wait $!

#!/usr/bin/env bash
# What a PUBLISH of 250 bytes costs Redis, by the number of pods that are subscribed: docs/scaling.md. Needs redis-server,
# redis-cli, redis-benchmark and two cores.
set -euo pipefail
port=${1:-7402} publishes=200000

cpu() { redis-cli -p "$port" info cpu | tr -d '\r' | awk -F: '/^used_cpu_(sys|user):/ { sum += $2 } END { print sum }'; }

taskset -c 0 redis-server --port "$port" --save '' --appendonly no --loglevel warning >/dev/null 2>&1 &
server=$!
trap 'kill $server' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do :; done
message=$(head -c 250 /dev/zero | tr '\0' x)

for pods in 0 1 2 4 8; do
  subscribers=()
  for ((i = 0; i < pods; i++)); do
    taskset -c 1 redis-cli -p "$port" subscribe room >/dev/null &
    subscribers+=($!)
  done
  until [ "$(redis-cli -p "$port" pubsub numsub room | tail -n 1)" -eq "$pods" ]; do :; done
  before=$(cpu)
  taskset -c 1 redis-benchmark -p "$port" -n "$publishes" -c 4 -P 8 -q publish room "$message" >/dev/null
  after=$(cpu)
  awk -v pods="$pods" -v cpu="$(awk "BEGIN { print $after - $before }")" -v n="$publishes" \
    'BEGIN { printf "%d pods: %.2f µs of Redis a publish\n", pods, cpu * 1e6 / n }'
  for subscriber in "${subscribers[@]}"; do
    kill "$subscriber"
    wait "$subscriber" 2>/dev/null || true
  done
done

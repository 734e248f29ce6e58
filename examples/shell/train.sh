#!/usr/bin/env bash
# A metric is a line on stdout, so a trial may be written in any language. This one walks down the curve
# (x - 3)^2 by gradient descent, in bash and awk, and never heard of trialjob.
set -euo pipefail

rate=0.1
steps=20
while [ $# -gt 0 ]; do
  case "$1" in
    --rate) rate="$2" ;;
    --steps) steps="$2" ;;
    *) echo "unknown argument: $1" >&2; exit 2 ;;
  esac
  shift 2
done

x=10
for ((step = 1; step <= steps; step++)); do
  x=$(awk -v x="$x" -v rate="$rate" 'BEGIN { printf "%.9g", x - rate * 2 * (x - 3) }')
  loss=$(awk -v x="$x" 'BEGIN { printf "%.6g", (x - 3) ^ 2 }')
  echo "step: $step, loss: $loss"
  sleep 0.05
done

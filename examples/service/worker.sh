#!/usr/bin/env bash
# A worker of a study, with bash, curl and sed only; as many as you like may run at once, anywhere:
#   TOKEN=trialjob_… bash worker.sh https://tuning.example.com parabola worker-1
# The id of a worker is the same again after a crash, so that it is given its trial again.
set -euo pipefail
address=$1 study=$2 worker=$3 trials=${4:-20}

ask() { # PATH BODY: each call may be made again when its answer was lost; the key is for what makes the study
    curl -sSf --retry 5 --retry-connrefused -H @<(echo "Authorization: Bearer $TOKEN") -H "Idempotency-Key: $study" \
        -H "Content-Type: application/json" -d "$2" "$address/v1/studies$1"
}
value() { sed -n "s/.*\"$1\":\([-0-9.eE+]*\).*/\1/p"; }

ask "" '{"name": "'"$study"'", "metric": "loss", "mode": "min", "limits": {"max_trials": '"$trials"', "max_concurrent_trials": 2},
    "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}}}' >/dev/null # the first to come makes it

while true; do
    answer=$(ask "/$study/suggestions" '{"client_id": "'"$worker"'"}')
    [[ $answer != *'"over":true'* ]] || break
    trial=$(value trial <<<"$answer") rate=$(value rate <<<"$answer")
    if [[ -z $trial ]]; then
        sleep 5 # the others have as many as may be out at once
        continue
    fi
    for step in 1 2 3; do # in place of your training
        loss=$(awk "BEGIN { print ($rate - 0.3) ^ 2 + 1 / $step }")
        told=$(ask "/$study/trials/$trial/reports" \
            '{"client_id": "'"$worker"'", "step": '"$step"', "metrics": {"loss": '"$loss"'}}')
        [[ $told != *'"stop":true'* ]] || continue 2
    done
    ask "/$study/trials/$trial/complete" '{"client_id": "'"$worker"'"}'
    echo
done

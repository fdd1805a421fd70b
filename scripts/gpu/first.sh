#!/usr/bin/env bash
# The first slot on a GPU: which one it is, who is certified on it, and the profile quick.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit
. scripts/gpu/setup.sh
stage "the machine"
if [ "$DEVICE" = cuda ]; then nvidia-smi; fi
"$PY" -m scripts.gpu.probe machine
stage "a training batch of each framework: does it run, and how often does it wait?"
within 100 "$PY" -m scripts.gpu.probe waits "$DEVICE"
stage "certificates"
within 240 "$PY" -m bench parity --device "$DEVICE" --env current --results "$RESULTS" \
  --only "$ONLY task=${TASKS:-fc_lif,csnn,csnn_stepbn,memory,add,multiply,calculate}"
stage "a first comparison"
run "$(left)" "${PROFILE:-quick}" --only "$ONLY"
keep first

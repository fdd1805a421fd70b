#!/usr/bin/env bash
# The second slot: all of MNIST, fifty networks of each Nengo example, and where the time goes.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit
. scripts/gpu/setup.sh
stage "all of MNIST"
run 300 "${PROFILE:-full}" --only "$ONLY task=fc_lif,csnn"
stage "Nengo examples, fifty networks of each"
run 150 "${PROFILE:-many}" --only "$ONLY task=memory,add,multiply,calculate"
stage "launches, and how busy the GPU is"
within "$(left)" "$PY" -m scripts.gpu.probe times "$DEVICE"
keep second

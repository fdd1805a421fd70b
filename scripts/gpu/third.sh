#!/usr/bin/env bash
# The third slot: batch 32 and 128 channels, every variant, mixed precision, TF32, determinism, conformance.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit
. scripts/gpu/setup.sh
stage "batch 32; 128 channels"
run 160 "${PROFILE:-scripts/gpu/sizes.toml}" --only "$ONLY"
stage "every variant"
run 120 "${PROFILE:-quick}" --only "$ONLY task=fc_lif,csnn_stepbn variant=all"
stage "mixed precision"
run 80 "${PROFILE:-quick}" --precision amp --only "adapter=torch,spikingjelly task=fc_lif,csnn"
stage "TF32"
run 50 "${PROFILE:-smoke}" --tf32 --only "adapter=torch task=fc_lif,csnn"
stage "deterministic algorithms"
run 50 "${PROFILE:-smoke}" --deterministic --only "adapter=torch,spikingjelly task=csnn"
stage "conformance: what fails there"
within "$(left)" "$PY" -m scripts.gpu.conform "$DEVICE"
keep third

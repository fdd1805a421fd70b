#!/usr/bin/env bash
# One slot of a profile; the next one goes on where it ended: a training at its last epoch.
#
#     scripts/gpu/slot.sh PROFILE [WORD...]      words of `spikebench run`, the same in every slot
#
# Exit code 0: it is complete; 1: another slot is needed, or a cell has failed, as the last lines say.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit
. scripts/gpu/setup.sh
profile=$1
shift
stage "$profile"
run "$(left)" "$profile" --only "$ONLY" "$@" | tee "$CARRY/said"
keep "$(basename "$profile" .toml)"
grep -q ' is complete' "$CARRY/said"

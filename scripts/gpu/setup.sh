# Sourced by the scripts beside it, in the project's folder.  PY is an interpreter with all that this machine's
# python3 (or PYTHON) has, torch above all, and the carried wheels.
#
#     CARRY    the folder that pack.sh has filled, default carry
#     DEVICE   default cuda; cpu to rehearse
#     MINUTES  of a slot, default 10
#     RESULTS  default results
#     ONLY     the adapters, default those that run on a GPU and limit
CARRY=$(realpath "${CARRY:-carry}")
RESULTS=$(realpath -m "${RESULTS:-results}")
DEVICE=${DEVICE:-cuda} MINUTES=${MINUTES:-10}
ONLY=${ONLY:-adapter=torch,spikingjelly,snntorch,norse,sinabs,limit}
PY=$CARRY/env/bin/python
END=$((SECONDS + MINUTES * 60))

base=${PYTHON:-python3}
made="$CARRY $("$base" -Ic 'import sys; print(sys.base_prefix, sys.version_info[:3])')"
if [ "$made" != "$(cat "$CARRY/env/ready" 2>/dev/null)" ]; then # none, or another place's or Python's
  rm -rf "$CARRY/env"
  "$base" -m venv --without-pip "$CARRY/env"
  own=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # found after its own packages, so that what is carried counts
  "$base" -c 'import sys
for folder in sys.path:
    if folder.endswith(("site-packages", "dist-packages")):
        print(f"import site; site.addsitedir({folder!r})")' > "$own/machine.pth"
  "$base" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --target "$own" \
    "$CARRY"/wheels/*.whl
  printf '%s\n' "$made" > "$CARRY/env/ready"
fi
# What make installs for the harness comes from the wheels too.
printf 'no-index = true\nfind-links = ["%s"]\n' "$CARRY/wheels" > "$CARRY/uv.toml"
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$CARRY/wheels UV_CONFIG_FILE=$CARRY/uv.toml
export PYTHON=$PY COLUMNS=140

left() { echo $((END - SECONDS - 30)); } # some seconds are for what comes last

stage() { echo "=== $(left) s are left: $*"; }

# within SECONDS COMMAND...: no longer than that, and no longer than the slot; it is interrupted as by Ctrl-C.
within() {
  local seconds=$1 rest
  rest=$(left)
  shift
  [ "$rest" -gt 0 ] || { echo "no time is left for this"; return 0; }
  timeout --signal INT --kill-after 20 $((seconds < rest ? seconds : rest)) "$@" || echo "exit code $?"
}

# run SECONDS PROFILE WORD...: `spikebench run`, which goes on where it was interrupted before.
run() {
  local seconds=$1 profile=$2
  shift 2
  within "$seconds" "$PY" -m bench run --profile "$profile" --device "$DEVICE" --env current \
    --data "$CARRY/mnist" --results "$RESULTS" "$@"
}

# keep NAME: all records so far in one file, to be taken home.
keep() {
  tar czf "$CARRY/$1.tar.gz" --exclude='*.npz' -C "$RESULTS" runs
  stage "kept $CARRY/$1.tar.gz, $(du -h "$CARRY/$1.tar.gz" | cut -f1)"
}

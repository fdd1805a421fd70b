#!/usr/bin/env bash
# Fills a folder with what a machine with a GPU and without a network lacks: wheels, and MNIST.
#
#     scripts/gpu/pack.sh [FOLDER] [VERSION] [HAVE]
#
# FOLDER: default carry.  VERSION: of that machine's Python, default 3.12.  HAVE: a file with the packages that
# it has, as `python3 -m pip list --format=freeze` prints them there; they are left out, and so is always torch.
# Run it in the project, after any `make bench` (which prepares pip and fetches MNIST).
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-carry} version=${2:-3.12} have=${3:-/dev/null}
pip=(.uv/bin/python -m pip --disable-pip-version-check --quiet)
mkdir -p "$folder/wheels" "$folder/mnist"

# One environment for all: where two locks differ, the later one counts.
locks=(bench/uv.txt)
for name in nengo limit torch spikingjelly sinabs snntorch norse; do locks+=("adapters/$name/requirements.txt"); done
locks+=(bench/requirements.txt)
awk -v have="$have" '
  BEGIN { while ((getline line < have) > 0) { sub(/[= @].*/, "", line); gsub(/[._]/, "-", line); had[tolower(line)] } }
  /^[^ #]/ { pin = $1; split(pin, part, "=="); name = part[1]; is_new = !(pin in seen); seen[pin]; chosen[name] = pin }
  is_new { text[pin] = text[pin] $0 "\n" }
  END {
    for (name in chosen)
      if (!(name in had) && (name == "nvidia-ml-py" || name !~ /^(torch|torchvision|torchaudio|triton|nvidia-.*|cuda-.*)$/))
        printf "%s", text[chosen[name]]
  }' "${locks[@]}" > "$folder/requirements.txt"

platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014 manylinux_2_5 manylinux1; do
  platforms+=(--platform "${tag}_x86_64")
done
"${pip[@]}" download --no-deps --require-hashes --python-version "$version" --implementation cp "${platforms[@]}" \
  --dest "$folder/wheels" --requirement "$folder/requirements.txt"
for source in "$folder"/wheels/*.tar.gz; do # what its authors publish as source alone
  [ -e "$source" ] || continue
  "${pip[@]}" wheel --no-deps --wheel-dir "$folder/wheels" "$source"
  rm "$source"
done

for file in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
  gzip -9c "${XDG_CACHE_HOME:-$HOME/.cache}/spikebench/mnist/$file" > "$folder/mnist/$file.gz"
done
echo "Packed for Python $version: $(du -sh "$folder" | cut -f1) in $folder"

#!/usr/bin/env bash
# Everything that can be said about the kernels on a GPU, in under 8 minutes, into one folder.
#
#   kernels/gpu_suite.sh [--binary PATH] [--out DIR] [--device cuda|cuda:N|cuda-host] [--dry-run]
#
#   --binary PATH   a fortifai that was built elsewhere (or FORTIFAI=PATH); otherwise cargo builds one,
#                   which takes minutes more
#   --out DIR       where the results go; it must not exist [default: gpu-suite-DATE]
#   --device D      cuda-host rehearses the script on the CPU in tiny sizes: no GPU, and no times that
#                   mean anything
#   --dry-run       say what would run, and run nothing
#   PYTHON          the python3 that has PyTorch, for the rivals [default: python3]
#
# Needs: a GPU with its driver, NVRTC (FORTIFAI_NVRTC says where, if it is not found); for the rivals
# PyTorch; for the sanitizer steps compute-sanitizer, which comes with the CUDA toolkit. No network.
#
# A missing GPU fails: REQUIRE_CUDA=1 is in effect. Each step has its seconds; one that outlives them is
# killed and failed. Exit 0: all steps passed. 1: one failed. 2: usage. 3: no GPU, or no fortifai.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
started=$SECONDS
binary=${FORTIFAI-} device=cuda out='' dry=''
usage() { sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; }
while [ $# -gt 0 ]; do
  case $1 in
    --binary | --out | --device)
      [ $# -gt 1 ] || { echo "$1 wants a value; --help tells which." >&2; exit 2; }
      case $1 in
        --binary) binary=$2 ;;
        --out) out=$2 ;;
        --device) device=$2 ;;
      esac
      shift 2 ;;
    --dry-run) dry=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "There is no option $1; --help tells which there are." >&2; exit 2 ;;
  esac
done
case $device in
  cuda | cuda:[0-9]*) host='' ;;
  cuda-host) host=yes ;;
  *) echo "--device is cuda, cuda:N or cuda-host, not $device." >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
out=${out:-gpu-suite-$(date -u +%Y-%m-%dT%H%M%S)}
[ ! -e "$out" ] || { echo "$out exists already; name another folder with --out." >&2; exit 2; }

# What `verify` checks, by parts of its names, the longest first; `linear` is in those of GELU and of decoding too.
operators='classifier attention linear layernorm embedding adamw squared_norm'

# On the shim only that the steps can be done is of interest.
if [ -n "$host" ]; then
  export REQUIRE_CUDA_HOST=1
  cases=0 steps=40 size=toy verify_operator='--operator gelu' operators=gelu_linear patience=10
else
  export REQUIRE_CUDA=1
  cases=16 steps=200 size=gpt2 verify_operator='' patience=1
fi

# The summary's rows: name, verdict, seconds.
failed=0
rows=()
say() { printf '%s\n' "$*"; }
verdict() {
  rows+=("| $1 | $2 | $3 |")
  say "=== $1: $2 ($3 s)"
}

# step NAME SECONDS COMMAND…: its output in NAME.log.
step() {
  local name=$1 seconds=$((patience * $2)) begin=$SECONDS code=0 log
  shift 2
  if [ -n "$dry" ]; then
    say "$name (at most $seconds s): $*"
    return 0
  fi
  log="$out/${name//[ ,]/-}.log"
  say "=== $name"
  if [ "$(type -t "$1")" = function ]; then
    deadline=$((SECONDS + seconds))
    "$@" >"$log" 2>&1 || code=$?
  else
    timeout -k 5 "$seconds" "$@" >"$log" 2>&1 || code=$?
  fi
  case $code in
    0) verdict "$name" passed $((SECONDS - begin)) ;;
    78) verdict "$name" "IN PART: $(tail -n 1 "$log")" $((SECONDS - begin)) ;;
    77) verdict "$name" "SKIPPED: $(tail -n 1 "$log")" $((SECONDS - begin)) ;;
    124 | 137) failed=1; verdict "$name" "FAILED: over its $seconds s" $((SECONDS - begin)) ;;
    *) failed=1; verdict "$name" "FAILED: exit $code" $((SECONDS - begin)); tail -n 5 "$log" ;;
  esac
  return 0
}

# What is left of a function's seconds; at least one, so that timeout counts.
left() { local seconds=$((deadline - SECONDS)); echo $((seconds > 0 ? seconds : 1)); }

# --- the steps ---------------------------------------------------------------------------------

machine() {
  if [ -z "$host" ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv || true
  fi
  uname -a
  "$fortifai" --version
  "$python" -c 'import torch; print("PyTorch", torch.__version__, "CUDA", torch.version.cuda)' || true
  command -v compute-sanitizer || echo "no compute-sanitizer"
}

# The cache is filled by several processes at a time, so that no later step waits for a compiler.
compile_all() {
  local operator precision code=0 jobs=()
  for operator in $operators; do
    for precision in f32 bf16; do
      timeout -k 5 "$(left)" "$fortifai" verify --device "$device" --precision "$precision" \
        --operator "$operator" --cases 0 >/dev/null &
      jobs+=($!)
    done
  done
  for job in "${jobs[@]}"; do wait "$job" || code=$?; done
  return "$code"
}

# train NAME MORE…: a short run that ends in $out/runs/NAME. A point of the curve for every step.
train() {
  local name=$1
  shift
  timeout -k 5 "$(left)" "$fortifai" train --loss tce:0.9 --epochs 1 --batch 4 \
    --set model.layers=2 --set model.channels=64 --set model.heads=2 --set model.context=32 \
    --set toy.train_tokens=$((steps * 4 * 32 * 21 / 20)) --set toy.heldout_tokens=400 \
    --set train.warmup=20 --set train.validations_per_epoch=100000 --set validation=0.02 \
    --max-new-tokens 8 --out "$out/runs/$name" "$@"
}

# Weights and metrics, without what tells of the time of day.
hashes() {
  (cd "$out/runs/$1" && find . -type f \( -name '*.safetensors' -o -name 'metrics.jsonl' \) | LC_ALL=C sort |
    xargs sha256sum)
}

repeats() {
  local precision
  for precision in f32 bf16; do
    train "once-$precision" --device "$device" --precision "$precision" || return
    train "twice-$precision" --device "$device" --precision "$precision" || return
    hashes "once-$precision" >"$out/runs/once-$precision.sha256"
    [ -s "$out/runs/once-$precision.sha256" ] || { echo "there is nothing to compare"; return 1; }
    hashes "twice-$precision" | diff - "$out/runs/once-$precision.sha256" || return
    echo "two runs in $precision have the same bits:"
    cat "$out/runs/once-$precision.sha256"
  done
}

curve() {
  train cpu --device cpu || return
  train cpu-bf16 --device cpu --precision bf16 || return
  "$python" "$root/benches/device/curve.py" "$out/runs/cpu" "$out/runs/once-f32" --steps "$steps" --tolerance 1e-4 || return
  "$python" "$root/benches/device/curve.py" "$out/runs/cpu" "$out/runs/once-bf16" --steps "$steps" --tolerance 1e-2 \
    --reference "$out/runs/cpu-bf16"
}

# sanitize TOOL: all operators side by side, since a sanitizer leaves the GPU idle most of the time.
sanitize() {
  local operator code failed='' clean=0 quiet='' jobs=() log
  [ "$1" != memcheck ] || quiet="--report-api-errors no"
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed (CUDA toolkit)"; return 77; }
  for operator in $operators; do
    # Refusals of the driver are no errors here: a kernel's parameters are counted until there are no more.
    # shellcheck disable=SC2086 # two words on purpose
    timeout -k 5 "$(left)" compute-sanitizer --tool "$1" $quiet --error-exitcode 9 \
      "$fortifai" verify --device "$device" --precision bf16 --operator "$operator" --cases 0 \
      >"$out/$1-$operator.log" 2>&1 &
    jobs+=("$!:$operator")
  done
  for job in "${jobs[@]}"; do
    operator=${job#*:} code=0
    wait "${job%%:*}" || code=$?
    log="$out/$1-$operator.log"
    # What was found counts, whether or not there was time to come to the end.
    if [ "$code" != 0 ] && grep -Eq '^=+ +(Invalid|Error:|Race reported|Uninitialized|Barrier error|Program hit)' "$log"; then code=9; fi
    case $code in
      0) clean=$((clean + 1)); echo "clean: $operator" ;;
      124 | 137) echo "not finished within the time: $operator" ;;
      *) failed=yes; echo "$1 or verify found something at $operator:"; tail -n 20 "$log" ;;
    esac
  done
  [ -z "$failed" ] || return 1
  [ "$clean" -lt "${#jobs[@]}" ] || return 0
  echo "$clean of ${#jobs[@]} operators to their end, nothing found"
  return 78
}

rivals() {
  if [ -n "$host" ]; then
    local how=--rehearse
    "$python" -c 'import torch' 2>/dev/null || how=--dry-run
    timeout -k 5 "$(left)" "$python" "$root/benches/device/rivals.py" "$out" "$how"
    return
  fi
  "$python" -c 'import torch' || { echo "PyTorch is not installed for $python"; return 77; }
  timeout -k 5 "$(left)" "$python" "$root/benches/device/rivals.py" "$out" --seconds $(($(left) - 30))
}

# --- the run -----------------------------------------------------------------------------------

if [ -n "$dry" ]; then
  fortifai=${binary:-"$root/target/release/fortifai"}
  say "Results would go to $out; fortifai is ${binary:-built by cargo}; device $device."
else
  if [ -z "$binary" ]; then
    command -v cargo >/dev/null || {
      echo "There is neither cargo nor a prebuilt binary: carry one along and name it with --binary." >&2
      exit 3
    }
    (cd "$root" && cargo build --release --bin fortifai) || exit 3
    binary=${CARGO_TARGET_DIR:-$root/target}/release/fortifai
    started=$SECONDS
  fi
  fortifai=$(readlink -f "$binary")
  [ -x "$fortifai" ] || { echo "$binary is no program; name one with --binary." >&2; exit 3; }
  # One operator without random shapes: is there a device, and a compiler for its kernels?
  "$fortifai" verify --device "$device" --operator squared_norm --cases 0 >/dev/null || exit 3
  mkdir -p "$out/runs" || exit 2
fi

step "machine" 10 machine
step "compilation" 50 compile_all
# shellcheck disable=SC2086 # two words on purpose
step "verify f32" 40 "$fortifai" verify --device "$device" --cases "$cases" $verify_operator
# shellcheck disable=SC2086
step "verify bf16" 40 "$fortifai" verify --device "$device" --precision bf16 --cases "$cases" $verify_operator
step "two runs, the same bits" 35 repeats
step "loss curve beside the CPU" 25 curve
step "memcheck" 45 sanitize memcheck
step "racecheck" 45 sanitize racecheck
step "kernels" 60 "$fortifai" bench --device "$device" --quick --out "$out"
step "training step" 35 "$fortifai" bench --device "$device" --step "$size" --out "$out"
step "rivals" 95 rivals

[ -z "$dry" ] || exit 0
{
  echo "# GPU suite"
  echo
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ), device $device, $((SECONDS - started)) s. $("$fortifai" --version)."
  [ -z "$host" ] || echo "A rehearsal on the CPU in tiny sizes: its times say nothing."
  echo
  echo "| step | verdict | seconds |"
  echo "|---|---|---|"
  printf '%s\n' "${rows[@]}"
  echo
  [ "$failed" = 0 ] && echo "All steps passed, or say how far they came or why they were skipped." || echo "**Something failed; the step's log tells what.**"
} >"$out/summary.md"
rm -rf "$out/runs"/*/checkpoints
cat "$out/summary.md"
exit "$failed"

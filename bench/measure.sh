#!/usr/bin/env bash
# The whole measurement behind the README's figures, in one run of some fifteen minutes.
#
#   bench/measure.sh [OUT_DIR]      default: bench/results/<date>-<processor>
#
# Writes OUT_DIR/{README.md,compare.json,memory.json,memory-10m.json,micro.json}.
#   QUICK=1    seconds instead of minutes: shows that everything runs, its figures mean nothing
#   BUSY_OK=1  measure although others use the machine; the result says so
#   BEFORE     the server's binary of an earlier build, measured by turns: what a change made of it
#   WORK_DIR   where data lives during the run: a directory on the disk to measure
set -euo pipefail
command_line="bench/measure.sh $*"
invoked_from=$PWD
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*" >&2; }
warn() { printf 'measure: %s\n' "$*" >&2; notes+=("$*"); }
die() { printf 'measure: %s\n' "$*" >&2; exit 2; }

notes=()
target=${CARGO_TARGET_DIR:-target}
gatehouse=$target/release/gatehouse
load=$target/release/gatehouse-load
work_dir=${WORK_DIR:-${TMPDIR:-/tmp}}
date=$(date -u +%Y-%m-%d)
compare_flags=()
memory_tickets=1000000 many_tickets=10000000
bench_flags=()
if [ "${QUICK:-0}" = 1 ]; then
  compare_flags+=(--seconds 1 --warmup 0.5 --rounds 1)
  memory_tickets=50000 many_tickets=100000
  bench_flags+=(--warm-up-time 0.1 --measurement-time 0.5 --sample-size 10)
fi
[ "${BUSY_OK:-0}" = 1 ] && compare_flags+=(--busy-ok)
[ -n "${BEFORE:-}" ] && compare_flags+=(--before "$BEFORE")

cpu_model() { sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1; }

slug() { tr '[:upper:]' '[:lower:]' | sed -e 's/([a-z]*)//g' -e 's/[^a-z0-9]\{1,\}/-/g' -e 's/^-//' -e 's/-$//'; }

processor() { local model; model=$(cpu_model); printf '%s, %s cores' "${model:-$(uname -m)}" "$(nproc)"; }

out=${1:-bench/results/$date-$(processor | slug)}
# A relative directory is the caller's.
case "${1:-/}" in /*) ;; *) out=$invoked_from/$1 ;; esac

check_machine() {
  say "machine: $(processor), Linux $(uname -r)"
  [ "$(uname -s)" = Linux ] || die "CPU per request is read from /proc: measure on Linux"
  [ "$(nproc)" -ge 2 ] || die "server and client need a core each, this machine lets us use $(nproc)"
  command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (https://rustup.rs)"
  local governor=/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
  if [ -r $governor ] && [ "$(cat $governor)" != performance ]; then
    warn "the clock speed changes with the load (governor $(cat $governor))"
  fi
  local busy
  busy=$(cut -d' ' -f1 /proc/loadavg)
  if awk "BEGIN { exit !($busy > 0.5) }"; then warn "others used the machine when this began (load $busy)"; fi
  local fs
  fs=$(stat -f -c %T "$work_dir")
  [ "$fs" != tmpfs ] || warn "$work_dir is in memory: a sync costs nothing there; set WORK_DIR to a disk"
  [ "$(df -Pk "$work_dir" | awk 'NR == 2 { print $4 }')" -ge 16777216 ] || die "$work_dir has less than 16 GiB free"
}

commit_of_source() {
  local commit
  commit=$(git rev-parse --short=12 HEAD 2>/dev/null) || { echo "not told"; return; }
  git diff --quiet HEAD -- . ':!bench/results' || commit="$commit, with changes"
  echo "$commit"
}

build() {
  say "building"
  cargo build --release --locked -p api -p load-tests
  cargo build --release --locked -p bench --bin bench-estimates
}

compare() {
  say "1 of 3: echo and Gatehouse by turns"
  "$load" compare --gatehouse "$gatehouse" --commit "$commit" --work-dir "$work_dir" --out "$out" \
    "${compare_flags[@]}"
}

memory() {
  say "2 of 3: memory per ticket, import, restart"
  memory_of "$many_tickets"
  mv "$out/memory.json" "$out/memory-10m.json"
  memory_of "$memory_tickets"
}

memory_of() {
  "$load" memory --gatehouse "$gatehouse" --commit "$commit" --work-dir "$work_dir" --out "$out" --tickets "$1" |
    tee -a "$out/memory.md"
}

micro() {
  say "3 of 3: micro benches"
  # Estimates of an earlier run must not be taken for this one's.
  rm -rf "$target/criterion"
  TMPDIR=$work_dir cargo bench --locked -p bench -- "${bench_flags[@]}"
  "$target/release/bench-estimates" "$target/criterion" >"$out/micro.json"
}

readme() {
  cat <<EOF
# Measurement of $date

| | |
|---|---|
| date | $(date -u '+%Y-%m-%d %H:%M UTC') |
| machine | $(processor), $(awk '/^MemTotal/ { printf "%d", $2 / 1048576 }' /proc/meminfo) GiB, Linux $(uname -r) |
| disk | $(stat -f -c %T "$work_dir") |
| compiler | $(rustc --version) |
| commit | $commit |
| command | \`$command_line\` |

EOF
  [ "${QUICK:-0}" = 1 ] && printf '**A quick run: it shows that everything runs; its figures mean nothing.**\n\n'
  for note in "${notes[@]}"; do printf -- '- note: %s\n' "$note"; done
  [ ${#notes[@]} -eq 0 ] || echo
  printf '## Memory, import, restart (memory.json, memory-10m.json)\n\n'
  cat "$out/memory.md"
  printf '\n## Micro benches, nanoseconds for what each does once (micro.json, bench/README.md)\n\n| bench | ns | 95 %% interval |\n|---|---|---|\n'
  # One object per line, then one row per object.
  sed -e 's/^{//' -e 's/},/},\n/g' "$out/micro.json" |
    sed -n 's/^"\([^"]*\)":{"ns":\([0-9.]*\),"ns_low":\([0-9.]*\),"ns_high":\([0-9.]*\)}.*/| \1 | \2 | \3 to \4 |/p'
  printf '\n## Echo and Gatehouse (compare.json)\n\n'
  cat "$out/compare.md"
}

check_machine
mkdir -p "$out"
rm -f "$out/memory.md"
out=$(cd "$out" && pwd)
commit=$(commit_of_source)
build
compare
memory
micro
readme >"$out/README.md"
rm "$out/compare.md" "$out/memory.md"
# Results are committed: they speak of the tree, not of where it lies.
sed -i "s|$PWD/||g" "$out"/*
say "done: $out/README.md"

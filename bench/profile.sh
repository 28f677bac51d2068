#!/usr/bin/env bash
# Where a node's time goes under load: a flame graph of all its threads, and the functions that take most of each.
#
#   bench/profile.sh [SECONDS] [OUT_DIR]      default: 10 seconds, target/profile
#
# Server on one core, load on another, the mixture of the README's figures. Writes OUT_DIR/{flame.svg,threads.txt}.
#   CODES      fresh, used or mix (the default), as `gatehouse-load closed --codes`
#   WORK_DIR   where data lives during the run: a directory on the disk to look at
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'profile: %s\n' "$*" >&2; exit 2; }

seconds=${1:-10}
out=${2:-target/profile}
# Frames are found by their pointers: a build of its own, so that the others stay as they are.
target=${CARGO_TARGET_DIR:-target}/profiled
tools=${CARGO_TARGET_DIR:-target}/tools
data=$(mktemp -d "${WORK_DIR:-${TMPDIR:-/tmp}}/gatehouse-profile.XXXXXX")
server=

finish() {
  [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$data"
}
trap finish EXIT

command -v perf >/dev/null || die "perf is missing: install it (on Debian the package linux-perf)"
[ "$(nproc)" -ge 2 ] || die "server and load need a core each"
if [ ! -x "$tools/bin/inferno-flamegraph" ]; then
  say "building the flame graph's tools (once)"
  cargo install inferno --version 0.12.8 --locked --quiet --root "$tools"
fi
say "building with frame pointers (the first time takes a few minutes)"
RUSTFLAGS="-C force-frame-pointers=yes" CARGO_TARGET_DIR=$target cargo build --release --locked -p api -p load-tests

taskset -c 0 "$target/release/gatehouse" serve --demo --live off --workers 1 --data-dir "$data/node" \
  --device-addr 127.0.0.1:0 --admin-addr 127.0.0.1:0 >"$data/screen" 2>"$data/log" &
server=$!
for _ in $(seq 100); do
  if grep -q 'Stop with Ctrl-C' "$data/screen"; then break; fi
  kill -0 "$server" 2>/dev/null || die "the node does not start: $(cat "$data/log")"
  sleep 0.1
done
url=$(sed -n 's|.*device port.*\(http://[^/ ]*\).*|\1|p' "$data/screen" | head -n 1)
[ -n "$url" ] || die "the node does not say where its device port is: $(cat "$data/screen")"

say "$seconds s of load on $url"
taskset -c 1 "$target/release/gatehouse-load" closed --url "$url" --codes "${CODES:-mix}" --warmup 2 --seconds "$((seconds + 2))" \
  >"$data/load" &
load=$!
sleep 3
perf record --quiet -F 499 -g -p "$server" -o "$data/perf.data" -- sleep "$seconds"
wait "$load"

mkdir -p "$out"
perf script -i "$data/perf.data" 2>/dev/null | "$tools/bin/inferno-collapse-perf" --all 2>/dev/null >"$data/folded"
"$tools/bin/inferno-flamegraph" --title "gatehouse under load, by thread" "$data/folded" >"$out/flame.svg"
perf report -i "$data/perf.data" --no-children --sort comm,symbol --percent-limit 0.5 --stdio -g none 2>/dev/null |
  grep -v '^#' | sed -n 's,  *-  *-  *$,,p' >"$out/threads.txt"
head -n 25 "$out/threads.txt"
grep -E 'answers|latency|wrong' "$data/load" >&2
say "$out/flame.svg, $out/threads.txt"

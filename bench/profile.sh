#!/usr/bin/env bash
# Where a loaded node's time goes, and where its memory was asked for.
#
#   bench/profile.sh [SECONDS] [OUT_DIR]        time, 10 seconds by default: OUT_DIR/{flame.svg,threads.txt}
#   bench/profile.sh heap [SECONDS] [OUT_DIR]   bytes at the peak: OUT_DIR/{heap.svg,heap.txt}
#
# OUT_DIR is target/profile by default. Server on one core, load on another, the mixture of the README's figures.
#   CODES      fresh, used or mix (the default), as `gatehouse-load closed --codes`
#   TICKETS    how many are imported for the heap beside the demo's own, 100000 by default
#   WORK_DIR   where data lives during the run: a directory on the disk to look at
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'profile: %s\n' "$*" >&2; exit 2; }

what=cpu
if [ "${1:-}" = heap ]; then what=heap; shift; fi
seconds=${1:-10}
out=${2:-target/profile}
# Frames are found by their pointers: a build of its own, so that the others stay as they are.
target=${CARGO_TARGET_DIR:-target}/profiled
tools=${CARGO_TARGET_DIR:-target}/tools
data=$(mktemp -d "${WORK_DIR:-${TMPDIR:-/tmp}}/gatehouse-profile.XXXXXX")
program=$target/release/gatehouse
server=

stop_node() {
  [ -z "$server" ] || { kill -TERM "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  server=
}

finish() {
  stop_node
  rm -rf "$data"
}
trap finish EXIT

prepare() {
  [ "$(nproc)" -ge 2 ] || die "server and load need a core each"
  if [ ! -x "$tools/bin/inferno-flamegraph" ]; then
    say "building the flame graph's tools (once)"
    cargo install inferno --version 0.12.8 --locked --quiet --root "$tools"
  fi
  say "building with frame pointers (the first time takes a few minutes)"
  RUSTFLAGS="-C force-frame-pointers=yes" CARGO_TARGET_DIR=$target \
    cargo build --release --locked -p api -p load-tests "$@"
}

# Starts the node, with the environment given, and finds its device port: $server and $url.
start_node() {
  taskset -c 0 env "$@" "$program" serve --demo --live off --workers 1 --data-dir "$data/node" \
    --device-addr 127.0.0.1:0 --admin-addr 127.0.0.1:0 >"$data/screen" 2>"$data/log" &
  server=$!
  for _ in $(seq 300); do
    if grep -q 'Stop with Ctrl-C' "$data/screen"; then break; fi
    kill -0 "$server" 2>/dev/null || die "the node does not start: $(cat "$data/log")"
    sleep 0.1
  done
  url=$(sed -n 's|.*device port.*\(http://[^/ ]*\).*|\1|p' "$data/screen" | head -n 1)
  [ -n "$url" ] || die "the node does not say where its device port is: $(cat "$data/screen")"
}

# Sends scans for so many seconds in the background: $load.
start_load() {
  say "$seconds s of load on $url"
  taskset -c 1 "$target/release/gatehouse-load" closed --url "$url" --codes "${CODES:-mix}" --warmup 2 --seconds "$1" \
    >"$data/load" &
  load=$!
}

# Draws the stacks in $data/folded.
draw() {
  mkdir -p "$out"
  "$tools/bin/inferno-flamegraph" "${@:2}" "$data/folded" >"$out/$1"
}

tell_load() { grep -E 'answers|latency|wrong' "$data/load" >&2; }

cpu() {
  command -v perf >/dev/null || die "perf is missing: install it (on Debian the package linux-perf)"
  prepare
  start_node
  start_load "$((seconds + 2))"
  sleep 3
  perf record --quiet -F 499 -g -p "$server" -o "$data/perf.data" -- sleep "$seconds"
  wait "$load"
  perf script -i "$data/perf.data" 2>/dev/null | "$tools/bin/inferno-collapse-perf" --all 2>/dev/null >"$data/folded"
  draw flame.svg --title "gatehouse under load, by thread"
  perf report -i "$data/perf.data" --no-children --sort comm,symbol --percent-limit 0.5 --stdio -g none 2>/dev/null |
    grep -v '^#' | sed -n 's,  *-  *-  *$,,p' >"$out/threads.txt"
  head -n 25 "$out/threads.txt"
  tell_load
  say "$out/flame.svg, $out/threads.txt"
}

# So many tickets in the data directory of a node that is stopped.
import_tickets() {
  awk -v count="$1" 'BEGIN {
    print "code,ticket_id,type,holder"
    for (n = 0; n < count; n++) printf "LOAD%012d,T%011d,STANDARD,Holder %09d\n", n, n, n
  }' >"$data/tickets.csv"
  "$target/release/gatehouse" import tickets --event demo-match --data-dir "$data/node" "$data/tickets.csv" \
    >"$data/import" 2>&1 || die "the import failed: $(cat "$data/import")"
}

# Names as they are written in the source, without the compiler's hashes.
readable() {
  c++filt | sed -E -e 's/::h[0-9a-f]{16}//g' -e 's/\[[0-9a-f]{16}\]//g' -e 's/(^|;)_(\$LT\$)/\1\2/g' \
    -e 's/\$LT\$/</g' -e 's/\$GT\$/>/g' -e 's/\$u20\$/ /g' -e 's/\$RF\$/\&/g' -e 's/\$C\$/,/g' \
    -e 's/\$u7b\$/{/g' -e 's/\$u7d\$/}/g' -e 's/\$u5b\$/[/g' -e 's/\$u5d\$/]/g' -e 's/\.\./::/g'
}

# Bytes by the innermost function of ours that wanted them, and whether it was SQLite that asked for it.
by_place() {
  awk '{
    bytes = $NF; sub(/ [0-9]+$/, ""); count = split($0, frames, ";"); place = "(not ours)"
    for (n = count; n > 0; n--)
      if (frames[n] ~ /(^|[<& ])(engine|api|store|gatehouse)::/) { place = frames[n]; break }
    total += bytes; sum[place ($0 ~ /;sqlite3/ ? ", in SQLite" : "")] += bytes
  }
  END {
    printf "%12.0f 100.0 %%  everything at the peak\n", total
    for (place in sum) printf "%12.0f %5.1f %%  %s\n", sum[place], 100 * sum[place] / total, place
  }' "$data/folded" | sort -rn
}

# The allocator of the server is linked into it, where no profiler sees it: this one asks the system's.
heap() {
  command -v heaptrack_print >/dev/null || die "heaptrack is missing: install it (on Debian the package heaptrack)"
  local lib
  lib=$(dirname "$(dirname "$(readlink -f "$(command -v heaptrack)")")")/lib/heaptrack
  command -v c++filt >/dev/null || die "c++filt is missing: install binutils"
  [ -e "$lib/libheaptrack_preload.so" ] || die "heaptrack's library is not in $lib"
  prepare --features api/heap-profile
  # Once without the profiler, so that what an import needs for a moment is not what is looked at.
  start_node
  stop_node
  # Without line tables: heaptrack tells functions by their whole names then, and none in the wrong order because it was
  # inlined.
  objcopy --strip-debug "$target/release/gatehouse" "$target/release/gatehouse-heap"
  program=$target/release/gatehouse-heap
  say "importing ${TICKETS:-100000} tickets"
  import_tickets "${TICKETS:-100000}"
  start_node LD_PRELOAD="$lib/libheaptrack_preload.so" DUMP_HEAPTRACK_OUTPUT="$data/raw"
  start_load "$seconds"
  wait "$load"
  stop_node
  "$lib/libexec/heaptrack_interpret" <"$data/raw" >"$data/heap" 2>"$data/log"
  heaptrack_print -f "$data/heap" --flamegraph-cost-type peak -F "$data/stacks" -p 0 -a 0 -T 0 >"$data/summary"
  readable <"$data/stacks" >"$data/folded"
  draw heap.svg --title "gatehouse: bytes at the peak of its memory" --colors mem --countname bytes
  { by_place; echo; grep -E '^(total runtime|calls to|peak heap|peak RSS)' "$data/summary"; } >"$out/heap.txt"
  head -n 25 "$out/heap.txt"
  tell_load
  say "$out/heap.svg, $out/heap.txt"
}

$what

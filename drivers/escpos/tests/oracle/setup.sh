#!/bin/sh
# Makes the checkers' own Python at $1 from requirements.txt beside this file, once, whoever asks at the same time.
set -eu
wanted=$(dirname "$0")/requirements.txt
exec 9>"$1.lock"
flock 9
if cmp -s "$wanted" "$1/ready"; then exit 0; fi
python3 -m venv --clear "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
cp "$wanted" "$1/ready"

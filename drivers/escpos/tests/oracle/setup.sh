#!/bin/sh
# Makes the checkers' own Python at $1 from requirements.txt beside this file, once.
set -eu
here=$(dirname "$0")
if [ -e "$1/ready" ]; then exit 0; fi
python3 -m venv --clear "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
touch "$1/ready"

#!/bin/sh
# Says what a change of ObservedServices does: every finding, what would differ in the cluster, and which alert is proven.
# Usage: review.sh BASE DIRECTORY, in a git checkout. BASE is the commit to compare with, for instance origin/main.
# Needs `observed`, `promtool` and `git`. Exit status: that of the first of lint and drill that fails; a difference is none.
set -eu
base=$1
directory=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== observed lint"
observed lint -f "$directory"

echo "== what differs from $base"
mkdir "$work/base"
: >"$work/before.yaml"
if git archive "$base" "$directory" 2>/dev/null | tar -x -C "$work/base" 2>/dev/null; then
  observed render -f "$work/base/$directory" >"$work/before.yaml" || : >"$work/before.yaml"
fi
observed render -f "$directory" >"$work/after.yaml"
diff -u --label "$base" --label "this change" "$work/before.yaml" "$work/after.yaml" || true

echo "== observed drill"
observed drill -f "$directory"

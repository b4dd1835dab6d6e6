#!/usr/bin/env bash
# Builds ct-check and runs each of its cases under valgrind. Fails if a clean case is reported, or a control is not.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v valgrind >/dev/null; then
    echo "ct-check: valgrind is not installed (Debian: apt-get install valgrind)" >&2
    exit 1
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "ct-check: needs Linux on x86-64; this is $(uname -sm)" >&2
    exit 1
fi

cargo build --release --locked --quiet
binary=${CARGO_TARGET_DIR:-target}/release/ct-check
report=$(mktemp)
trap 'rm -f "$report"' EXIT

failed=0
cases=0
while read -r expected name; do
    cases=$((cases + 1))
    status=0
    output=$(valgrind --error-exitcode=9 --log-file="$report" "$binary" "$name") || status=$?
    found=$(sed -n 's/.*ERROR SUMMARY: \([0-9]*\) errors.*/\1/p' "$report")
    verdict=FAILED
    # Valgrind ends with 9 if it found errors, else with the program's own 0.
    if [ "$status" -eq "$([ "${found:-0}" -gt 0 ] && echo 9 || echo 0)" ]; then
        case "$expected" in
        *+) [ "${found:-0}" -ge "${expected%+}" ] && verdict=ok ;;
        *) [ "${found:-none}" = "$expected" ] && verdict=ok ;;
        esac
    fi
    # A case that stopped half way has proved nothing.
    [ "${output##*$'\n'}" = done ] || verdict=FAILED
    printf '%-38s expected errors: %-4s found: %-5s %s\n' "$name" "$expected" "${found:-none}" "$verdict"
    if [ "$verdict" = FAILED ]; then
        failed=1
        head -n 30 "$report"
    fi
done < <("$binary" list)

if [ "$cases" -eq 0 ]; then
    echo "ct-check: no cases" >&2
    exit 1
fi
if [ "$failed" -ne 0 ]; then
    echo "ct-check: FAILED" >&2
    exit 1
fi
echo "ct-check: all $cases cases as expected"

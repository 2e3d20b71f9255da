#!/bin/sh
# Reads a list to its end with curl and jq. Writes each item as a line to standard output, and the number of items to
# standard error.
#
#     sh walk.sh 'https://api.example.com/users?cursor=start&limit=100'
#
# Each request goes to the given URL, with the cursor from the previous page. `start` beside a cursor has no effect.
set -eu

list=$1
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
items=0
cursor=

while :; do
    # --retry repeats requests that are answered with 429, 502, 503 or 504, after the time in Retry-After.
    status=$(curl --silent --show-error --max-time 60 --retry 4 --output "$answer" --write-out '%{http_code}' \
        --get ${cursor:+--data-urlencode "cursor=$cursor"} "$list")
    if [ "$status" != 200 ]; then
        echo "$status $(jq --raw-output '"\(.code): \(.detail)\(.restart // "" | if . == "" then . else "\nBegin again: " + . end)"' "$answer")" >&2
        exit 1
    fi
    jq --compact-output '.data[]' "$answer"
    items=$((items + $(jq '.data | length' "$answer")))
    cursor=$(jq --raw-output '.pagination.nextCursor // empty' "$answer")
    [ -n "$cursor" ] || break
done

echo "$items items" >&2

#!/usr/bin/env bash
# Fails if a document in a folder has a link to a file that the folder doesn't contain.
#
#   tests/deploy/links.sh FOLDER
set -euo pipefail
cd "$1"

dead=0 found=0
while IFS=: read -r document target; do
    file=${target%%#*}
    case $target in http:* | https:* | '#'*) continue ;; esac
    found=$((found + 1))
    [ -e "$(dirname "$document")/$file" ] || { echo "links: $document has a link to $file, which is missing" >&2 && dead=1; }
done < <(grep --recursive --include='*.md' --only-matching --extended-regexp '\]\([^) ]+\)' . | sed 's/:\](\(.*\))$/:\1/')
[ "$found" -gt 100 ] || { echo "links: only $found links to files are in $1" >&2 && dead=1; }
exit "$dead"

"""Prints a JSON array with the documents of the given YAML files. "-" stands for a TOML table on standard input."""

import json
import sys
import tomllib

import yaml

found = []
for path in sys.argv[1:]:
    if path == "-":
        found.append(tomllib.load(sys.stdin.buffer))
    else:
        with open(path, encoding="utf-8") as file:
            found.extend(yaml.safe_load_all(file))
json.dump(found, sys.stdout)

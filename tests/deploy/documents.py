"""Prints what files hold as one list in JSON: the documents of YAML files; the table of a TOML text for each "-"."""

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

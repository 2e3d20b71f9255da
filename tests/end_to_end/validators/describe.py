"""Validates an OpenAPI document, and checks answers against it.

    python describe.py DOCUMENT [SAMPLES]

DOCUMENT is validated with openapi-spec-validator. SAMPLES is a JSON array of answers: path (as in the document), method,
asked (the body of the request, or null), status, content_type, headers (names), body, and whether the body must match
the document. The body of a request that was answered with 200 must match too. Prints the differences and exits with
status 1, or prints the number of checks.
"""

import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:document"


def escaped(text):
    return text.replace("~", "~0").replace("/", "~1")


def differences(document, samples):
    for fault in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{list(fault.absolute_path)}: {fault.message}"
    operations = [item[method] for item in document["paths"].values() for method in ("get", "post") if method in item]
    names = [operation["operationId"] for operation in operations]
    if len(set(names)) < len(names):
        yield f"operationIds: {names}"
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    registry = Registry().with_resource(DOCUMENT, Resource(contents=document, specification=DRAFT202012))

    def faults(place, value):
        schema = {"$ref": f"{DOCUMENT}#{place}"}
        validator = Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())
        return [f"{list(fault.absolute_path)}: {fault.message}" for fault in validator.iter_errors(value)]

    for sample in samples:
        path, method, status, content_type = (sample[name] for name in ("path", "method", "status", "content_type"))
        operation, place = document["paths"][path][method], f"/paths/{escaped(path)}/{method}"
        named = f"{method} {path} {status}"
        response = operation["responses"].get(str(status))
        if response is None or (content_type or "") not in response.get("content", {"": None}):
            yield f"{named} {content_type} is not described"
            continue
        described = {name.lower() for name in response.get("headers", {})}
        for name in sample["headers"]:
            if name.lower() not in described:
                yield f"{named}: the header {name} is not described"
        if status == 200 and sample["asked"] is not None:
            for fault in faults(f"{place}/requestBody/content/application~1json/schema", sample["asked"]):
                yield f"{named}: the body {json.dumps(sample['asked'])[:500]}: {fault}"
        if not content_type:
            continue
        found = faults(f"{place}/responses/{status}/content/{escaped(content_type)}/schema", sample["body"])
        if sample["is_described"] and found:
            yield f"{named}: {found} in {json.dumps(sample['body'])[:500]}"
        if not sample["is_described"] and not found:
            yield f"{named}: nothing is wrong with {json.dumps(sample['body'])[:500]}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    samples = []
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            samples = json.load(file)
    found = list(differences(document, samples))
    print("\n".join(found) or f"{len(document['paths'])} paths, {len(samples)} answers")
    sys.exit(1 if found else 0)


main()

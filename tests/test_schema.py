"""The JSON Schemas for editors."""

import pytest

from hpcdl.schema import MODELS, json_schema


def parts(kind: str) -> dict[str, dict]:
    schema = json_schema(kind)
    return {MODELS[kind].__name__: schema} | schema["$defs"]


@pytest.mark.parametrize("kind", MODELS)
def test_an_unknown_key_is_refused_everywhere(kind):
    unchecked = {name for name, part in parts(kind).items() if part.get("additionalProperties") is not False}
    assert unchecked <= {"Network"}, "a network has arguments of its own"


def test_the_keys_are_those_that_the_files_take():
    assert set(json_schema("job")["properties"]) == set(MODELS["job"].model_fields)
    assert json_schema("job")["required"] == ["name"]
    assert json_schema("job")["anyOf"] == [{"required": ["resources"]}, {"required": ["groups"]}]


def test_what_the_code_says_of_a_key_is_its_description():
    job, site = parts("job"), parts("site")
    assert job["Resources"]["properties"]["time"]["description"].startswith("Time limit as HH:MM:SS or D-HH:MM:SS.")
    inherited = site["Partition"]["properties"]["as_of"]["description"]
    assert inherited == 'When it held: "2021", "2021-11" or "2021-11-05".'


def test_values_have_the_types_that_the_files_take():
    job = parts("job")
    assert job["Job"]["properties"]["slurm"]["additionalProperties"]["type"] == ["string", "integer", "boolean"]
    assert job["Resources"]["properties"]["time"]["pattern"] == r"^(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d$"
    assert {"type": "string"} in job["Job"]["properties"]["command"]["anyOf"]

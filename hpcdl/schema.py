"""JSON Schemas of the files that people write, for editors: completion, and a red line under a mistake."""

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel

from hpcdl.chain.chainfile import Chain
from hpcdl.job import Job
from hpcdl.settings import Settings
from hpcdl.site import Site

MODELS: dict[str, type[BaseModel]] = {"job": Job, "chain": Chain, "site": Site, "settings": Settings}


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a `job`, a `chain`, a `site` or a `settings` file.

    The texts that the code has under a field become the field's description.
    """
    schema = MODELS[kind].model_json_schema()
    parts = {MODELS[kind].__name__: schema} | schema.get("$defs", {})
    for model in _models(MODELS[kind]):
        properties = parts[model.__name__]["properties"]
        for name, text in _texts(model).items():
            if name in properties:
                properties[name]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model and all that it is built of."""
    found = [model]
    for member in found:
        for field in member.model_fields.values():
            inner = [kind for kind in _kinds(field.annotation) if inspect.isclass(kind) and issubclass(kind, BaseModel)]
            found += [kind for kind in inner if kind not in found]
    return found


def _kinds(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(kind for argument in arguments for kind in _kinds(argument))]


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand under the fields of a class and of those it inherits from, by field."""
    texts: dict[str, str] = {}
    for cls in (kind for kind in reversed(model.__mro__) if issubclass(kind, BaseModel) and kind is not BaseModel):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    texts[name] = " ".join(words.split())
    return texts

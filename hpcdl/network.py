"""What a job file says of its network: a name, or a name and arguments. Checked without Keras."""

import re
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler, model_serializer, model_validator

from hpcdl.train.models import catalogue
from hpcdl.transfer import PRETRAINED
from hpcdl.yamlfile import Section

OWN_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Network(Section):
    """A network by its name alone, or by its name and its arguments in Keras's words."""

    model_config = ConfigDict(extra="allow")

    name: str
    """A name of `hpcdl models`, one's own as package.module:function, keras.applications:NAME, or `pretrained`: the
    network of train.transfer.weights."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        if isinstance(given, dict | Network):
            return given
        if not isinstance(given, str):
            raise ValueError(f"{given!r} is no model; write its name, or {{name: ..., and its arguments}}.")
        return {"name": given}

    @model_validator(mode="after")
    def _exists(self) -> "Network":
        if self.name == PRETRAINED:
            if self.arguments:
                raise ValueError(f"{PRETRAINED} takes no arguments; the network is as its file says.")
        elif ":" not in self.name:
            catalogue.check(self.name, self.arguments)
        elif not OWN_FUNCTION.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no place of a function; write package.module:function.")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that the file gives to the network."""
        return dict(self.model_extra or {})

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.name}({given})" if given else self.name

    @model_serializer
    def _as_written(self) -> Any:
        return {"name": self.name, **self.arguments} if self.arguments else self.name

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        return {**handler(core), "type": ["object", "string"]}

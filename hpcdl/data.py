"""What a job file says of its data: `data: mnist`, or a name and options."""

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator

from hpcdl.values import Positive
from hpcdl.yamlfile import Section


class Data(Section):
    """A data set by name, and its options. Each data set takes only some of them; `hpcdl data list` shows which."""

    name: str
    """mnist, cifar10, folders, ... (see `hpcdl data list`), or `package.module:function`, which returns a Dataset."""
    path: str | None = None
    """The folder or file; a relative one is looked for in $HPCDL_DATA, then in the working folder."""
    image_size: Positive | None = None
    """Height and width of the images in pixels, as the network gets them."""
    resize: Positive | None = None
    """Pixels of an image's shorter side before the middle of image_size is cut out; image_size itself if absent."""
    channels: Literal[1, 3] | None = None
    """3 for colour, 1 for grey."""
    in_memory: bool | None = None
    """Decode all images once and keep them, one copy on each node, instead of decoding them anew in every epoch."""
    stage: bool | None = None
    """Copy the files to each node's own disk ($HPCDL_SCRATCH, $SLURM_TMPDIR or $TMPDIR) before the first epoch."""
    shape: list[Positive] | None = None
    """Of one input: [height, width, channels] of an image or [length, channels] of a signal."""
    num_classes: Annotated[int, Field(ge=2)] | None = None
    num_train: Positive | None = None
    num_test: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    classes: Annotated[list[int | str], Field(min_length=2)] | None = None
    """Of any data set with classes: only these, by number or name; they are numbered anew, in this order."""
    per_class: Positive | None = None
    """Of any data set with classes: only so many training examples of each class, the first ones; drawn where there is
    a `seed`."""
    targets: list[str] | None = None
    """Names of the values that a regression predicts, in the order of the columns."""
    arguments: dict[str, Any] | None = None
    """Named arguments of a function of yours."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _as_written(self, dump: Any) -> Any:
        options = {key: value for key, value in dump(self).items() if value is not None}
        return self.name if set(options) == {"name"} else options

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Any:
        return {**handler(core), "type": ["object", "string"]}

    @property
    def options(self) -> dict[str, Any]:
        """The options that the file gives, apart from the name."""
        given = {key: getattr(self, key) for key in type(self).model_fields if key != "name"}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def title(self) -> str:
        """The name as the start of a file's name: that of the function for `package.module:function`."""
        return self.name.rpartition(":")[2]

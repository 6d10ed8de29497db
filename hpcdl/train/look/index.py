"""The page that shows all pictures of a look, and the same for programs."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from hpcdl.files import write_atomically
from hpcdl.resources import folder as resources
from hpcdl.train.look.look import Look, Picture

INDEX_FILE, PAGE_FILE = "index.json", "index.html"


def write_index(look: Look, made: Sequence[Picture], folder: Path) -> Path:
    """Write index.json and index.html, which holds the pictures in itself, and return the path of the page.

    index.json: `network` (path), `image` (what was given), `of` (in words), `layer`, `target` (in words), and
    `pictures`, a list of {name, about, png, pdf}; the files are relative to the folder.
    """
    index = {
        "network": str(look.trained.path),
        "image": look.wish.image,
        "of": look.of,
        "layer": look.layer.name,
        "target": look.name(look.target),
        "pictures": [
            {"name": picture.name, "about": picture.about, "png": f"{picture.name}.png", "pdf": f"{picture.name}.pdf"}
            for picture in made
        ],
    }
    images = {
        picture.name: base64.b64encode((folder / f"{picture.name}.png").read_bytes()).decode() for picture in made
    }
    template = (resources("templates") / "look.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template).render(**index, images=images)
    write_atomically(folder / INDEX_FILE, json.dumps(index, indent=1) + "\n")
    write_atomically(folder / PAGE_FILE, page)
    return folder / PAGE_FILE

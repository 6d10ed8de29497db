"""docs/performance.md and its pictures, from the JSON of the benches: `make bench-page` measures nothing."""

import json
from pathlib import Path
from typing import Any

import checkpoints
import cifar_accuracy
import commands
import memory
import mnist
import networks
import parallel
import speed
from harness import ratios, spread, table
from scripts import Script

ROOT = Path(__file__).parents[2]
RESULTS, README = ROOT / "docs" / "performance", ROOT / "README.md"
MARKS = ("<!-- performance -->\n", "<!-- /performance -->\n")
BENCHES: dict[str, Any] = {
    "mnist": mnist,
    "speed": speed,
    "parallel": parallel,
    "networks": networks,
    "checkpoints": checkpoints,
    "memory": memory,
    "allreduce": Script("allreduce", "Allreduce beside raw MPI", ["--rounds", "3"], ["--rounds", "1"]),
    "commands": commands,
    "collect": Script(
        "collect",
        "Reading logs",
        ["--largest", "1", "--rounds", "3"],
        ["--largest", "0.01", "--compare", "5", "--rounds", "1", "--runs", "20"],
    ),
}
"""The benches, in the order in which `make bench` runs them: what matters most comes first."""
SECTIONS = {**BENCHES, "cifar_accuracy": cifar_accuracy}
HEAD = """# How fast hpcdl is

Made by `make bench` from the JSON files in [performance/](performance/), which hold every single measurement; do not
edit. The sides of a comparison of speed ran in turns on the same cores. Figures are medians, in brackets the least and
the greatest; a ratio is that of two figures of the same round. Where another program is faster, the table says so. The
programs that hpcdl is compared with are in [tests/bench/peers/](../tests/bench/peers/).
"""


def read(folder: Path) -> dict[str, Any]:
    """Return what each bench found, in the order of the page; those that have not run are missing.

    cifar_accuracy found a list of runs, each with its machine; the others one dictionary.
    """
    paths = {name: folder / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def make(found: dict[str, Any]) -> str:
    """Return the page."""
    short = summary(found)
    parts = [HEAD, *([f"## In short\n\n{short}"] if short else [])]
    for name, each in found.items():
        bench = SECTIONS[name]
        picture = f"\n![{bench.TITLE}](pictures/performance-{name}.svg)\n" if bench.plot else ""
        place = each[-1] if isinstance(each, list) else each
        parts.append(f"## {bench.TITLE}\n\n{_measured_on(place)}\n\n{bench.section(each)}{picture}")
    return "\n".join(parts)


def summary(found: dict[str, Any]) -> str:
    """Return the table for the README, a line for each question; empty where none of them was measured."""
    rows = []
    if "mnist" in found:
        each = found["mnist"]
        job, runs = mnist.best(each)
        first, whole_s, taken_s = mnist.reached(each), each["lecture"]["time_s"], [run["time_s"] for run in runs]
        what, how = f"MNIST to {each['goal']:.2%} (`jobs/{job}`, start included)", "the lecture's script under Keras"
        peers = {f"{how}, whole": whole_s} | ({f"{how}, to its first epoch there": first["time_s"]} if first else {})
        for peer, peer_s in peers.items():
            ratio = spread([peer_s / time_s for time_s in taken_s], 1)
            rows.append([what, f"{spread(taken_s, 1)} s", f"{peer}: {peer_s:.0f} s", ratio, len(runs)])
    if "speed" in found:
        for ours, peer in ((speed.OURS[0], speed.KERAS), (speed.OURS[1], speed.DDP)):
            what = f"The lecture's network, images/s ({ours.partition(', ')[2]})"
            rows += _compared(what, found["speed"]["trained"], ours, peer)
    if "networks" in found:
        for network, each in found["networks"]["networks"].items():
            for peer in (networks.KERAS, networks.DDP):
                rows += _compared(f"{network}, images/s", each["trained"], networks.OURS, peer)
    if "parallel" in found:
        for batch, trained in found["parallel"]["trained"].items():
            kept, n = parallel.kept(trained), len(trained[parallel.TOGETHER])
            what = f"Speed that 2 ranks keep, {batch} images a rank and step"
            rows.append([what, f"{kept[0]:.1%}", "2 programs, each alone", _ratio(kept), n])
    return table(["", "hpcdl", "beside", "ratio", "n"], rows) if rows else ""


def _compared(what: str, trained: dict[str, Any], ours: str, peer: str) -> list[list[object]]:
    if peer not in trained:
        return []
    mine, theirs = ([one["images_per_s"] for one in trained[name]] for name in (ours, peer))
    numbers = [spread(values, 1 if min(mine) < 100 else 0) for values in (mine, theirs)]
    return [[what, numbers[0], f"{peer}: {numbers[1]}", _ratio(ratios(mine, theirs)), len(mine)]]


def _ratio(found: tuple[float, float, float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*found)


def _measured_on(found: dict[str, Any]) -> str:
    at = found["machine"]
    used = {name: each for name, each in found.get("versions", {}).items() if name != "openmpi"}
    packages = "".join(f", {name} {version}" for name, version in used.items() if name != "python")
    load = at.get("load_of_1_minute", found.get("load_before"))
    return (
        f"{at['date']}: {at['cpu']}, {at['cores']} cores, {at['memory_gb']} GB, Linux {at['kernel']}, Python "
        f"{at['python']}{packages}" + ("." if load is None else f"; load before the start {load}.")
    )


def write(folder: Path) -> None:
    """Write the page FOLDER.md from the JSON files in a folder, and its pictures to pictures/ beside it.

    That of the documentation also writes the table into the README, between the two lines that mark its place.
    """
    found = read(folder)
    draw(found, folder.parent / "pictures")
    folder.with_suffix(".md").write_text(make(found))
    if folder == RESULTS:
        README.write_text(with_table(README.read_text(), summary(found)))


def with_table(text: str, short: str) -> str:
    """Return a text with the table between the lines MARKS, as it is where it has no such lines.

    >>> with_table("a\\n<!-- performance -->\\nold\\n<!-- /performance -->\\nb", "new\\n").splitlines()
    ['a', '<!-- performance -->', 'new', '<!-- /performance -->', 'b']
    """
    head, begin, rest = text.partition(MARKS[0])
    _, end, tail = rest.partition(MARKS[1])
    return f"{head}{begin}{short}{end}{tail}" if begin and end else text


def draw(found: dict[str, Any], pictures: Path) -> None:
    """Write the pictures, each an SVG file that is the same for the same figures."""
    pictures.mkdir(exist_ok=True)
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "hpcdl", "axes.spines.top": False, "axes.spines.right": False})
    for name, each in found.items():
        if SECTIONS[name].plot:
            figure, axes = pyplot.subplots(figsize=(7.5, 3.2), layout="constrained")
            SECTIONS[name].plot(each, axes)
            figure.savefig(pictures / f"performance-{name}.svg", metadata={"Date": None})
            pyplot.close(figure)

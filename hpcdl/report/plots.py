"""Plots by matplotlib: inline SVG for the page, PNG, SVG and PDF for papers."""

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from hpcdl.errors import CollectError
from hpcdl.report.series import MOST_NAMED, Line, Plot, mean_and_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072b2", "#d55e00", "#007a5a", "#aa4499", "#8c6d00", "#4b4b9b")
"""Told apart with the common colour deficiencies (after Okabe and Ito, darkened to 4.5:1 on white)."""
INK, GRID = "#1f2328", "#c8ccd1"
MARKERS = "os^Dvp"
IN_PAGE = {color: f"var(--line-{number})" for number, color in enumerate(COLORS)} | {
    INK: "var(--ink)",
    GRID: "var(--grid)",
}
"""The page's own colours, which are others in the dark."""
WIDTH, HEIGHT = 5.0, 3.0
"""Inches, without the legend: text stays readable where the page is a phone's, and in a column of a paper."""
LEGEND_LINE = 0.19
"""Inches that a line of the legend takes."""
LEGEND_COLUMNS = {3: 12, 2: 30}
"""How many entries stand side by side, by the characters of the longest."""
WIDE = 8
"""Where the largest run has more than so many times the ranks of the smallest, both axes are logarithmic."""
MOST_MARKERS = 30
"""Lines with more points have no markers."""
DPI = 200
SUFFIXES = ("png", "svg", "pdf")
NO_MATPLOTLIB = "plots need matplotlib; install it with `pip install 'hpcdl[report]'`."
NO_DATES: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""The same numbers make the same file."""


def figure(plot: Plot) -> "Figure":
    """Return the plot as a figure of matplotlib.

    Raises:
        CollectError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter
    except ImportError:
        raise CollectError(NO_MATPLOTLIB) from None
    made = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = made.add_subplot()
    groups = {line.group for line in plot.lines}
    named = len(groups) <= MOST_NAMED
    if plot.ideal:
        ends = [min(line.x[0] for line in plot.lines), max(line.x[-1] for line in plot.lines)]
        steps = [ends[0] * (ends[1] / ends[0]) ** (part / 50) for part in range(51)]
        axes.plot(steps, [plot.ideal(x) for x in steps], color=INK, linewidth=1, linestyle=":", label="ideal")
    if named:
        for members in _groups(plot):
            _draw(axes, members)
    else:
        for line in plot.lines:
            axes.plot(line.x, line.y, color=COLORS[0], linestyle=_style(line), linewidth=0.8, alpha=0.5)
    if plot.by_size:
        sizes = sorted({x for line in plot.lines for x in line.x})
        if sizes[-1] / sizes[0] > WIDE:
            axes.set_xscale("log", base=2)
            if plot.name == "speedup":
                axes.set_yscale("log", base=2)
                axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=0)
    else:
        axes.set_xlim(left=min(line.x[0] for line in plot.lines) - 0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.grid(color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for part in (axes.xaxis.label, axes.yaxis.label):
        part.set_color(INK)
        part.set_parse_math(False)
    for place in ("left", "bottom"):
        axes.spines[place].set_color(INK)
    axes.tick_params(colors=INK)
    handles = [*axes.get_legend_handles_labels()[0], *_keys(plot, named)]
    if handles:
        longest = max(len(handle.get_label()) for handle in handles)
        columns = next((number for number, most in LEGEND_COLUMNS.items() if longest <= most), 1)
        made.set_figheight(HEIGHT + LEGEND_LINE * math.ceil(len(handles) / columns))
        form: dict[str, Any] = {"loc": "outside upper left", "ncols": columns, "frameon": False}
        legend = made.legend(handles=handles, labelcolor=INK, fontsize="small", **form)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name with $ is no formula
    return made


def _groups(plot: Plot) -> list[list[Line]]:
    """Return the lines that are drawn as one: those of a group, training and validation apart."""
    groups: dict[tuple[int, bool], list[Line]] = {}
    for line in plot.lines:
        groups.setdefault((line.group, line.dashed), []).append(line)
    return list(groups.values())


def _draw(axes: "Axes", lines: Sequence[Line]) -> None:
    """Draw repeats as their mean, between the lowest and the highest; a line with deviations gets bars."""
    first = lines[0]
    x, mean, lowest, highest = mean_and_range(lines)
    style: dict[str, Any] = {
        "color": COLORS[first.group % len(COLORS)],
        "linestyle": _style(first),
        # Each group is drawn finer than the one before: what lies under it is still seen.
        "linewidth": max(1.0, (1.6 if first.dashed else 2.6) - 0.4 * first.group),
        "marker": MARKERS[first.group % len(MARKERS)] if len(x) <= MOST_MARKERS and not first.dashed else "",
        "markersize": max(3.0, 7.0 - 1.2 * first.group),
        "label": None if first.dashed else first.label,
    }
    if any(first.errors):
        axes.errorbar(x, mean, yerr=[error or 0 for error in first.errors], capsize=3, **style)
        return
    axes.plot(x, mean, **style)
    if len(lines) > 1:
        axes.fill_between(x, lowest, highest, color=style["color"], alpha=0.2, linewidth=0)


def _style(line: Line) -> Literal["-", "--"]:
    return "--" if line.dashed else "-"


def _keys(plot: Plot, named: bool) -> list[Any]:
    """Return what the legend says of the kinds of line."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Any] = []
    if any(line.dashed for line in plot.lines):
        keys.append(Line2D([], [], color=INK, linestyle="-", linewidth=1.2, label="training"))
        keys.append(Line2D([], [], color=INK, linestyle="--", linewidth=1.2, label="validation"))
    if named and any(len(lines) > 1 for lines in _groups(plot)):
        keys.append(Patch(facecolor=INK, alpha=0.2, label="lowest to highest of n runs"))
    return keys


def files(plot: Plot) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the plot as PNG, SVG and PDF; the same plot gives the same bytes."""
    return saved(plot.name, lambda: figure(plot))


def saved(name: str, make: Callable[[], "Figure"]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a figure as PNG, SVG and PDF; the same figure gives the same bytes.

    Raises:
        CollectError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise CollectError(NO_MATPLOTLIB) from None
    for suffix in SUFFIXES:
        data = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": name, "pdf.fonttype": 42, "svg.fonttype": "path"}):
            make().savefig(data, format=suffix, dpi=DPI, metadata=NO_DATES[suffix])
        yield f"{name}.{suffix}", data.getvalue()


def inline_svg(plot: Plot) -> str:
    """Return the plot as an SVG element for a page: text as text, the page's colours, a title and a description."""
    import matplotlib

    data = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": plot.name, "svg.fonttype": "none", "font.family": "sans-serif"}):
        made = figure(plot)
        made.patch.set_visible(False)
        made.axes[0].patch.set_visible(False)
        made.savefig(data, format="svg", metadata=NO_DATES["svg"])
    return embedded(data.getvalue(), plot)


def embedded(svg: str, plot: Plot) -> str:
    """Return matplotlib's SVG fit for standing in a page beside others."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg, flags=re.DOTALL)  # it would hold for the whole page
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{plot.name}-", svg)
    svg = re.sub("|".join(IN_PAGE), lambda match: IN_PAGE[match[0]], svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view, "matplotlib writes a viewBox"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view[0]} role="img" '
        f'aria-labelledby="{plot.name}-title {plot.name}-desc">'
        f'<title id="{plot.name}-title">{escape(plot.title)}</title>'
        f'<desc id="{plot.name}-desc">{escape(plot.description)}</desc>'
    )
    return head + svg[svg.index(">") + 1 :]

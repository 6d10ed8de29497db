"""Plots by matplotlib: inline SVG for the page, PNG, SVG and PDF for papers."""

import io
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from hpcdl.errors import CollectError
from hpcdl.report.series import MOST_NAMED, Plot

if TYPE_CHECKING:
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
SIZE = (5.0, 3.4)
"""Inches: text stays readable where the page is a phone's, and in a column of a paper."""
WIDE = 8
"""Where the largest run has more than so many times the ranks of the smallest, both axes are logarithmic."""
LONG_LABEL = 18
"""Longer labels stand below each other."""
DPI = 200
SUFFIXES = ("png", "svg", "pdf")
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
        raise CollectError("plots need matplotlib; install it with `pip install 'hpcdl[report]'`.") from None
    made = Figure(figsize=SIZE, layout="constrained")
    axes = made.add_subplot()
    groups = {line.group for line in plot.lines}
    named = len(groups) <= MOST_NAMED
    if plot.ideal:
        ends = [min(line.x[0] for line in plot.lines), max(line.x[-1] for line in plot.lines)]
        steps = [ends[0] * (ends[1] / ends[0]) ** (part / 50) for part in range(51)]
        axes.plot(steps, [plot.ideal(x) for x in steps], color=INK, linewidth=1, linestyle=":", label="ideal")
    labelled: set[int] = set()
    for line in plot.lines:
        color = COLORS[line.group % len(COLORS)] if named else COLORS[0]
        style: dict[str, Any] = {
            "color": color,
            "linestyle": "--" if line.dashed else "-",
            "linewidth": 1.8 if named else 0.8,
            "alpha": 1 if named else 0.5,
            "marker": MARKERS[line.group % len(MARKERS)] if named and len(line.x) <= 30 else "",
            "markersize": 4.5,
            "label": line.label if named and not line.dashed and line.group not in labelled else None,
        }
        if any(line.errors):
            axes.errorbar(line.x, line.y, yerr=[error or 0 for error in line.errors], capsize=3, **style)
        else:
            axes.plot(line.x, line.y, **style)
        labelled.add(line.group)
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
    if axes.get_legend_handles_labels()[0]:
        columns = 1 if any(len(line.label) > LONG_LABEL for line in plot.lines) else 3
        legend = made.legend(loc="outside upper left", ncols=columns, frameon=False, labelcolor=INK, fontsize="small")
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name with $ is no formula
    return made


def files(plot: Plot) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the plot as PNG, SVG and PDF; the same plot gives the same bytes."""
    import matplotlib

    for suffix in SUFFIXES:
        data = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": plot.name, "pdf.fonttype": 42, "svg.fonttype": "path"}):
            figure(plot).savefig(data, format=suffix, dpi=DPI, metadata=NO_DATES[suffix])
        yield f"{plot.name}.{suffix}", data.getvalue()


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

"""The plots: their numbers, and files for papers that are the same for the same numbers."""

import io
import xml.etree.ElementTree

import pytest
from run_folders import series as make_series
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.collector import Row, collect_rows
from hpcdl.report.plots import SUFFIXES, figure, files, inline_svg
from hpcdl.report.series import MOST_CURVES, MOST_POINTS, curves, scaling, thinned


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return collect_rows([make_series(tmp_path_factory.mktemp("runs"))], pytest.fail)


def test_curves_are_the_epochs_of_the_runs(rows):
    loss, accuracy = curves(rows)
    assert (loss.name, accuracy.name) == ("curves-loss", "curves-accuracy")
    first, validation = loss.lines[:2]
    assert (first.name, first.x, first.y) == ("mnist-1-1", [1, 2, 3], [1, 1 / 2, 1 / 3])
    assert (first.dashed, validation.dashed, validation.y[0]) == (False, True, 1.1)
    assert [line.label for line in loss.lines[::6]][:3] == ["1 rank (n=3)", "2 ranks (n=3)", "4 ranks (n=4)"]
    assert [line.x for line in loss.lines if line.name == "mnist-bad"] == [[1], [1]]


def test_scaling_is_mean_and_deviation_of_the_repeats(rows):
    speedup, efficiency = scaling(rows)
    (line,) = speedup.lines
    assert line.x == [1, 2, 4]
    assert line.y == pytest.approx([1, (1000 * 2**0.9 + 20) / 1020, (1000 * 4**0.9 + 20) / 1020])
    assert line.errors == pytest.approx([10 / 1020] * 3)
    assert efficiency.lines[0].y == pytest.approx([y / x for x, y in zip(line.x, line.y, strict=True)])
    assert efficiency.lines[0].errors == pytest.approx([10 / 1020 / x for x in line.x])


def test_no_scaling_without_two_sizes_and_no_curves_without_epochs(rows):
    assert scaling([row for row in rows if row.ranks == 1]) == []
    assert curves([Row("a")]) == []


def test_long_curves_are_thinned_and_many_are_not_all_drawn():
    points = [(float(x), 0.0) for x in range(10_001)]
    kept = thinned(points)
    assert (len(kept), kept[0], kept[-1]) == (MOST_POINTS, points[0], points[-1])
    rows = [Row(f"{number}", history=[{"epoch": 1, "loss": 0.5}]) for number in range(MOST_CURVES + 5)]
    (plot,) = curves(rows)
    assert len(plot.lines) == MOST_CURVES
    assert "40 of 45 runs" in plot.title


def test_axes_have_names_and_wide_series_are_logarithmic():
    rows = [
        Row(f"{ranks}", job="x", ranks=ranks, images_per_s=9.0 * ranks, outcome="completed") for ranks in (1, 16, 64)
    ]
    speedup, _ = scaling(rows, ["job"])
    axes = figure(speedup).axes[0]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "ranks")
    assert "speed-up" in axes.get_ylabel()


def test_files_for_papers_are_the_same_bytes_each_time(rows, tmp_path):
    for plot in (curves(rows)[0], scaling(rows)[0]):
        first, second = dict(files(plot)), dict(files(plot))
        assert list(first) == [f"{plot.name}.{suffix}" for suffix in SUFFIXES]
        assert first == second
        assert first[f"{plot.name}.png"].startswith(b"\x89PNG")
        assert first[f"{plot.name}.pdf"].startswith(b"%PDF")
        xml.etree.ElementTree.parse(io.BytesIO(first[f"{plot.name}.svg"]))


def test_the_inline_plot_is_sound_xml_in_the_colours_of_the_page(rows):
    for plot in [*curves(rows), *scaling(rows)]:
        svg = inline_svg(plot)
        root = xml.etree.ElementTree.fromstring(svg)
        assert root[0].text == plot.title
        assert "var(--line-0)" in svg
        assert "#0072b2" not in svg
        assert "<style" not in svg


def test_the_command_writes_page_and_plots(rows, tmp_path):
    runs = rows[0].files[0].rpartition("/mnist-1-1")[0]
    result = CliRunner().invoke(
        app, ["report", runs, "-o", str(tmp_path / "r.html"), "--plots", str(tmp_path / "plots"), "--title", "A & B"]
    )
    assert result.exit_code == 0, result.output
    assert "<h1>A &amp; B</h1>" in (tmp_path / "r.html").read_text()
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert len(names) == 12
    assert "speedup.pdf" in names

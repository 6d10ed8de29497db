"""The page of `hpcdl report`, driven in a real browser: sort, filter, keyboard, and nothing from outside."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from run_folders import make_run, series
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.collector import Evidence, Row
from hpcdl.collector.formats.html import html
from hpcdl.collector.table import build
from hpcdl.report.page import page as page_of
from hpcdl.report.series import curves, scaling

HOSTILE = "</script><script>alert(1)</script><img src=//x.invalid/y onerror=alert(2)>\x1b]0;x\x07$\\frac{$ & \"'"


class Opened:
    """A page in the browser, with all that it did beyond showing itself."""

    def __init__(self, browser: Browser, path: Path, width: int = 1400, **options):
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def column(self, number: int) -> list[str]:
        cells = self.page.locator(f"#table tbody tr:visible > :nth-child({number})")
        return cells.all_inner_texts()

    def head(self, name: str):
        return self.page.get_by_role("columnheader", name=name)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    series(folder / "runs")
    make_run(folder / "runs", "missed", ranks=1, seed=9, accuracy=0.5, expect={"test_accuracy": ">= 0.9"})
    result = CliRunner().invoke(app, ["report", str(folder / "runs"), "-o", str(folder / "report.html")])
    assert result.exit_code == 0, result.output
    return folder / "report.html"


@pytest.fixture
def opened(chromium, report):
    opened = Opened(chromium, report)
    yield opened
    assert opened.requests == [report.as_uri()], "the page loads nothing"
    assert opened.said == []
    opened.page.close()


def test_the_table_has_all_runs_with_the_reason_of_those_that_failed(opened):
    assert len(opened.column(1)) == 11
    assert opened.page.locator("#table tbody tr", has_text="crash").count() == 1
    text = opened.page.locator("#outcomes ~ article", has_text="mnist-bad").inner_text()
    assert "rank 3 on node1: weights differ" in text
    assert "record.json" in text
    assert "test_accuracy is 0.5, expected >= 0.9" in opened.page.inner_text("main")


def test_sort_by_clicks_takes_the_exact_numbers_and_keeps_the_unknown_last(opened):
    head = opened.head("test accuracy")
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").click()
    place = 4
    up = opened.column(place)
    assert up[-1] == "-"
    assert up[:-1] == sorted(up[:-1], key=float)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    down = opened.column(place)
    assert down == [*reversed(up[:-1]), "-"]
    assert head.get_attribute("aria-sort") == "descending"
    opened.head("images/s").get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "none"
    rates = [float(text.replace(",", "")) for text in opened.column(6)]
    assert rates == sorted(rates)


def test_sort_by_name_counts_numbers_as_numbers(chromium, tmp_path):
    (tmp_path / "page.html").write_text(html(build([Row(f"run-{number}") for number in (10, 9, 100)])))
    opened = Opened(chromium, tmp_path / "page.html")
    opened.head("run").get_by_role("button").click()
    assert opened.column(1) == ["run-9", "run-10", "run-100"]


def test_filter_by_text_and_outcome_says_how_many_are_left(opened):
    opened.page.fill("#text", "mnist-2")
    assert opened.column(1) == ["mnist-2-1", "mnist-2-2", "mnist-2-3"]
    assert opened.page.inner_text("#count") == "3 of 11 rows"
    opened.page.fill("#text", "")
    opened.page.select_option("#outcome", "crash")
    assert opened.column(1) == ["mnist-bad"]
    opened.page.select_option("#outcome", "")
    assert len(opened.column(1)) == 11


def test_the_keyboard_alone_does_all_of_it(opened):
    def tab_to(test: str, most: int = 40) -> None:
        for _ in range(most):
            opened.page.keyboard.press("Tab")
            if opened.page.evaluate(f"(() => {{ const at = document.activeElement; return {test}; }})()"):
                return
        raise AssertionError(f"no {test} by Tab")

    tab_to("at.className === 'skip'", 1)
    tab_to("at.id === 'text'")
    opened.page.keyboard.type("mnist-1")
    assert len(opened.column(1)) == 3
    tab_to("at.id === 'outcome'")
    tab_to("at.tagName === 'BUTTON' && at.textContent === 'test accuracy'")
    assert opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Space")
    assert opened.column(1) == ["mnist-1-3", "mnist-1-2", "mnist-1-1"]
    tab_to("at.tagName === 'SUMMARY'")
    opened.page.keyboard.press("Enter")
    assert opened.page.locator("details[open] table").count() == 1


def test_a_reader_that_sees_nothing_gets_names_captions_and_the_numbers_of_the_plots(opened):
    page = opened.page
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("#table tbody tr:not(:has(> th[scope=row]))").count() == 0
    images = page.get_by_role("img")
    assert images.count() == 4
    names = [images.nth(number).get_attribute("aria-labelledby").split() for number in range(4)]
    for name in names:
        assert all(page.locator(f"#{part}").count() == 1 for part in name)
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map((item) => item.id)")
    assert len(identifiers) == len(set(identifiers))
    numbers = page.locator("details", has_text="Speed-up by ranks").locator("tbody tr")
    assert numbers.all_text_contents()[0].replace("\n", "").startswith("11")
    assert page.locator("html").get_attribute("lang") == "en"
    for field in ("#text", "#outcome"):
        assert page.locator(f"label:has({field})").inner_text().strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_screen_and_the_colours_have_contrast(chromium, report, width, scheme):
    opened = Opened(chromium, report, width, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    names = ["--paper", "--ink", "--quiet", "--link", "--good", "--bad", *(f"--line-{number}" for number in range(6))]
    value = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    colors = {name: opened.page.evaluate(value, name) for name in names}
    paper = colors.pop("--paper")
    assert (luminance(paper) < 0.1) is (scheme == "dark")
    for name, color in colors.items():
        least = 3 if name.startswith("--line") else 4.5  # WCAG 2.2: graphics 1.4.11, text 1.4.3
        assert contrast(paper, color) >= least, (name, color)
    opened.page.close()


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.2 defines it."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_html_and_escape_sequences_in_names_stay_text(chromium, tmp_path):
    rows = [
        Row(
            HOSTILE + str(number),
            ranks=ranks,
            job=HOSTILE,
            images_per_s=10.0,
            outcome="crash",
            cause=HOSTILE,
            evidence=Evidence(HOSTILE, 3, HOSTILE),
            metrics={HOSTILE: 1.5},
            history=[{"epoch": epoch, "loss": 0.5, "accuracy": 0.5} for epoch in (1, 2)],
        )
        for number, ranks in enumerate((1, 2))
    ]
    table = build(rows)
    table.shown += build(rows).shown[:1]
    merged = [row.__class__(**{**vars(row), "outcome": "completed", "cause": None}) for row in rows]
    text = page_of(table, HOSTILE, [("Curves", curves(rows)), ("Scaling", scaling(merged, ["job"]))])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    (tmp_path / "page.html").write_text(text)
    opened = Opened(chromium, tmp_path / "page.html")
    assert opened.requests == [(tmp_path / "page.html").as_uri()]
    assert opened.said == []
    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("script").count() == 1
    assert opened.page.locator("svg").count() == 4
    assert "<script>alert(1)</script>" in opened.column(1)[0]
    opened.page.close()


def test_a_thousand_runs_stay_a_page_that_opens(chromium, tmp_path):
    history = [{"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5} for epoch in range(1, 201)]
    rows = [Row(f"run-{number}", outcome="crash", cause="x", loss=0.1, history=history) for number in range(1000)]
    text = page_of(build(rows), "Many", [("Curves", curves(rows))])
    assert len(text) < 3e6
    assert "40 of 1000 runs" in text
    (tmp_path / "page.html").write_text(text)
    opened = Opened(chromium, tmp_path / "page.html")
    opened.page.fill("#text", "run-99")
    assert opened.page.inner_text("#count") == "11 of 1000 rows"
    opened.page.close()

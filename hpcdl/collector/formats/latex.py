"""LaTeX, with the rules of the package booktabs."""

from hpcdl.collector.columns import EMPTY, harmless
from hpcdl.collector.table import Table

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "*": "{*}",
    "±": r"$\pm$",
    "µ": r"\textmu{}",
}
"""What LaTeX would not print as it stands; [ and * after the \\\\ of the line before would be its arguments."""


def latex(table: Table) -> str:
    """Return the columns for people as a `tabular`, then what must be said of single runs as small print.

    It needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}, and stands inside a `table` of the reader's own.
    """
    places = "".join("r" if column.numeric else "l" for column in table.shown)
    lines = [
        r"% \usepackage{booktabs} \usepackage[T1]{fontenc}",
        rf"\begin{{tabular}}{{@{{}}{places}@{{}}}}",
        r"\toprule",
        " & ".join(escaped(column.header) for column in table.shown) + r" \\",
        r"\midrule",
    ]
    for record in table.records:
        cells = [column.text(record) for column in table.shown]
        lines.append(" & ".join("--" if text == EMPTY else escaped(text) for text in cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [escaped(note) for note in table.notes]
    notes += [f"{escaped(run)}: {escaped(line)}" for run, line in table.remarks]
    if notes:
        lines += ["", r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{note}\par" for note in notes]
        lines += [r"\end{minipage}"]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return `text` so that LaTeX prints it as it is; what its fonts hardly have is shown as a code point.

    >>> escaped("a_b 50% <1b>"), escaped("0.98 ± 0.01"), escaped("損")
    ('a\\\\_b 50\\\\% \\\\textless{}1b\\\\textgreater{}', '0.98 $\\\\pm$ 0.01', '\\\\textless{}640d\\\\textgreater{}')
    """
    shown = "".join(
        char if char.isascii() or char in SPECIAL or "\u00c0" <= char <= "\u017f" else f"<{ord(char):04x}>"
        for char in harmless(text)
    )
    # T1 fonts make a dash of -- and a quotation mark of ,,
    return "".join(SPECIAL.get(char, char) for char in shown).replace("--", "-{}-{}").replace(",,", ",{},")

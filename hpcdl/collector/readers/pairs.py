"""Names and numbers in a line of text: `Training Loss: 1.1609 Training Accuracy: 63%`."""

import re

from hpcdl.collector.readers.numbers import NUMBER, fraction, metric_name

PAIR = re.compile(
    r"(?<![\w./])(?P<label>[A-Za-z][\w@/-]*(?: [A-Za-z][\w@/-]*){0,5})"
    r"(?:\s*[(\[][A-Za-z%][^)\]]{0,20}[)\]])?['\"]?"  # a unit in brackets
    r"(?P<sep>\s*[:=]\s*|\s+is\s+|\s+)['\",]{0,2} *(?:tensor\()?"
    rf"(?P<number>{NUMBER})(?P<of>/\d+(?: ?\([\d.]+%\))?)?\s?(?P<unit>%|ms\b|s\b|seconds\b)?"
    r"(?!\w|[/:.-]\d)"  # a date, a time, a path
)
METRIC = re.compile(
    r"(?i)(?:^|[\W_])(?:loss|acc|accuracy|error|err|auc|f1|f1[-_ ]?score|precision|recall|score|perplexity|ppl|bleu"
    r"|rouge\w*|m?ap|miou|iou|dice|mae|mse|rmse|r2|top-?[15]|acc@[15]|prec@[15]|em|wer|cer|psnr|ssim|kappa|mcc|sensitivity"
    r"|specificity|reward|fom)(?:_epoch)?$"
)
METRIC_INSIDE = re.compile(r"(?i)\b(?:loss|acc(?:uracy)?|error)\b")
DURATION = re.compile(
    r"(?i)^(?:.*\b)?(?:elapsed(?:[ _]time)?|time[ _]per[ _]epoch|epoch[ _]time|(?:training|train|total|run)[ _]?time"
    r"|time[ _]cost|duration|runtime|time[ _]elapsed|step_avg|time)$"
)
NOT_THE_PROGRAMS = ("cpu time", "turnaround time", "run time")  # of LSF's report
LEVELS = ("INFO", "DEBUG", "WARNING", "THE", "AND", "FOR")
SET = re.compile(
    r"\s*(?:[\w:,. -]*\b)?((?i:test|validation|val|valid|eval(?:uation)?|train(?:ing)?))"
    r"(?: set| data| results?)?\s*[:-] "
)
SETS = {"t": "test ", "v": "val ", "e": "test "}


def is_metric(name: str) -> bool:
    """Tell whether a name that `pairs` returned is a metric's, not a duration's."""
    return bool(METRIC.search(name))


def pairs(text: str) -> dict[str, float]:
    """Return the metrics and durations that a line names, by the names of `metric_name`.

    Percentages become parts of 1, durations seconds (`_s`); where a name comes twice the first holds.

    >>> pairs("Training Loss: 1.1609 Training Accuracy: 63%")
    {'loss': 1.1609, 'accuracy': 0.63}
    >>> pairs("Test set: Average loss: 0.0538, Accuracy: 9826/10000 (98%)")
    {'test_loss': 0.0538, 'test_accuracy': 0.9826}
    """
    values: dict[str, float] = {}
    prefix = ""
    if match := SET.match(text):
        prefix = "" if match[1][:2].lower() == "tr" else SETS[match[1][0].lower()]
        text = text[match.end() :]
    for match in PAIR.finditer(text):
        name = _name(match, prefix)
        if name:
            values.setdefault(name, _value(match))
    return values


def _name(match: re.Match[str], prefix: str) -> str | None:
    label = match["label"]
    last = label.rpartition(" ")[2].rpartition("/")[2]
    metric = METRIC.search(last)
    if not match["sep"].strip() and not metric:
        return None  # two words and a number: prose
    while label.partition(" ")[0].upper() in LEVELS and " " in label:
        label = label.partition(" ")[2]
    if metric or METRIC_INSIDE.search(label.replace("_", " ")):
        return metric_name(prefix + label).removesuffix("_epoch")
    if label.lower() not in NOT_THE_PROGRAMS and DURATION.search(label):
        return metric_name(label) + "_s"
    return None


def _value(match: re.Match[str]) -> float:
    number = float(match["number"])
    if match["of"]:
        total = float(match["of"][1:].partition("(")[0])
        return number / total if total else number
    if match["unit"] == "%" or "@" in match["label"]:
        return fraction(number)
    return number / 1000 if match["unit"] == "ms" else number

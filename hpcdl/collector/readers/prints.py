"""What training scripts print in their own words: `Epoch 3/20, loss: 0.31, val acc 0.87`, `Test accuracy: 0.99`.

Covers PyTorch's and MXNet's examples, JAX and hand-written loops: an epoch or a step, and pairs of a name and a number.
"""

import re

from hpcdl.collector.events import EpochEnd, EpochStart, Event, Fact, Listed, Progress, Rate, Sign, Tested, Values
from hpcdl.collector.readers.numbers import NUMBER, fraction, metric_name

TRIGGERS = (
    "poch", "oss", "cc", "CC", "core", "rror", "AUC", "auc", "/sec", "/s", "step", "iter", "ppl", "F1", "f1", "took", "time", "Time",
    "FoM", "one", "inish", "omplete", "ucces", "recision", "ecall", "IoU", "ice", "perplexity", "esult", "ank", "size", "BLEU", "mAP", "MAE",
    "mae", "mse", "MSE", "ccuracy", "Saved", "samples", *(f"[{digit}" for digit in range(10)),
)  # fmt: skip

EPOCH = re.compile(
    r"(?<![A-Za-z_])[Ee](?:poch|POCH)s?\b(?!/)\s*(?:[:#=]\s*)?[\[(]?\s*(\d+)\s*(?:(?:/|of|out of)\s*(\d+))?\s*[\])]?"
)
PLAN = re.compile(
    r"(?:\b|_|-)(?:num_|n_|max_|total_|train_|training_)?(?:[Ee]pochs|EPOCHS|[Nn]um_train_epochs)['\"]?\s*(?:[:=]|\s)\s*(\d+)\b(?!\.\d)"
)
STEP_OF = re.compile(r"\[\s*(\d+)\s*/\s*(\d+)(?:\s*\((\d+)%\))?\s*\]")
STEP = re.compile(
    r"(?<![A-Za-z_])(?:global[_ ]?)?(?:[Ss]tep|[Ii]ter(?:ation)?|[Bb]atch|STEP|ITER)s?\s*(?:[:#=]\s*)?\[?\s*(\d+)\s*\]?\s*(?:(?:/|of)\s*(\d+))?"
)
PAIR = re.compile(
    r"(?<![\w./])(?P<label>[A-Za-z][\w@/-]*(?: [A-Za-z][\w@/-]*){0,5})(?:\s*[(\[][A-Za-z%][^)\]]{0,20}[)\]])?['\"]?"
    rf"(?P<sep>\s*[:=]\s*|\s+is\s+|\s+)['\",]{{0,2}} *(?:tensor\()?(?P<number>{NUMBER})(?P<of>/\d+(?: ?\([\d.]+%\))?)?\s?(?P<unit>%|ms\b|s\b|seconds\b)?"
    r"(?!\w|[/:.-]\d)"
)
METRIC_WORDS = re.compile(
    r"(?i)(?:^|[\W_])(?:loss|acc|accuracy|error|err|auc|f1|f1[-_ ]?score|precision|recall|score|perplexity|ppl|bleu|rouge\w*|m?ap|miou|iou|dice|"
    r"mae|mse|rmse|r2|top-?[15]|acc@[15]|prec@[15]|em|wer|cer|psnr|ssim|kappa|mcc|sensitivity|specificity|reward|fom)(?:_epoch)?$"
)
TIME_WORDS = re.compile(
    r"(?i)^(?:.*\b)?(?:elapsed(?:[ _]time)?|time[ _]per[ _]epoch|epoch[ _]time|(?:training|train|total|run)[ _]?time|time[ _]cost|duration|"
    r"runtime|time[ _]elapsed|step_avg|time)$"
)
NOT_TIMES = ("cpu time", "turnaround time", "run time")  # of LSF's report, not the program's
NOISE = re.compile(
    r"improved from|did not improve|finished gradual|ReduceLROnPlateau|LearningRateScheduler|early stopping|Restoring model|"
    r"saving model|Saving model|setting learning rate|reducing learning rate|def |print\(|f\"|\.format\("
)
LOGGING = re.compile(
    r"^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ][\d:.,]+\]?\s*)?(?:[|:-]\s*)?(?:\[?(?:INFO|DEBUG|WARNING|I)\]?\s*[:|-]?\s*)?(?:[\w.]+:(?=\s*\[?\w))?\s*(?:- )?"
)
RATE = re.compile(
    r"([\d.]+(?:e\d+)?)\s*(?:(images?|imgs?|samples?|sentences|sequences|examples?)\s*/\s*s(?:ec(?:ond)?)?)\b"
    r"|(?:images?|imgs?|samples?|examples?)\s*(?:/|per)[ _]?s(?:ec(?:ond)?)?\s*[:=]\s*([\d.]+)"
)
WORLD = re.compile(
    r"[Rr]ank \d+ (?:out )?of (\d+)|(?i:world[_ ]?size)['\"]?\s*[:=]?\s*(\d+)\b|(?i:hvd|horovod)[._ ]size(?:\(\))?\s*[:=]?\s*(\d+)"
)
LISTED = re.compile(rf"(?:^|[:=] ?|array\()\[({NUMBER}(?:,\s*{NUMBER})+)\]\)?$")
FIRST_TRAIN_VAL = re.compile(rf"\[Epoch (\d+)\] train=({NUMBER}) val=({NUMBER})")
DECREASED = re.compile(rf"((?:\w+ )*\w*[Ll]oss) decreased (?:from )?\(?{NUMBER} (?:to|-->) ({NUMBER})")
DONE = re.compile(
    r"(?i)\W*(?:all |job |training |train |script |program |run |experiment |model |the )*(?:is |has |was |process )*"
    r"(?:done|finished|finish|complete|completed|finished successfully|completed successfully|success|successfully completed|ended)"
    r"(?: training| successfully)?(?: (?:in|at|on|after) [^a-z]*.{0,40})?\W*"
)
TOOK = re.compile(r"^'?([A-Za-z][\w ]{0,30}?)'? took ([\d.]+) ?s?(?:ec(?:onds)?)?\b")
SAVED = re.compile(
    r"(?i)^(?:successfully )?(?:saved|saving) (?:final |trained )?(?:model|weights|at)|^Model saved|^Best model saved"
)


def read(text: str) -> list[Event]:
    """Read one line; a line of source code or of a callback tells nothing."""
    if len(text) > 2000 or NOISE.search(text):
        return []
    events: list[Event] = []
    if match := WORLD.search(text):
        events.append(Fact("ranks", int(next(group for group in match.groups() if group))))
    if match := RATE.search(text):
        events.append(Rate(float((match[1] or match[3]).rstrip(".")), ranks=text.lstrip().lower().startswith("total")))
    if (match := DONE.fullmatch(text) or DONE.fullmatch(LOGGING.sub("", text, count=1))) and len(text) < 120:
        return [*events, Sign("completed", "word", f'the program printed "{text.strip()[:60]}"')]
    if SAVED.match(text):
        return [*events, Sign("completed", "word", f'the program printed "{text.strip()[:60]}"')]
    if match := LISTED.search(text):
        return [*events, Listed([float(number) for number in match[1].split(",")])]
    if match := TOOK.match(text):
        name = "_".join(match[1].lower().split())
        return [
            *events,
            Values({f"{name}_s": float(match[2])}),
            *([Sign("completed", "word", text.strip())] if name == "train" else []),
        ]
    if match := FIRST_TRAIN_VAL.search(text):  # GluonCV prints accuracies without saying so
        values = {"accuracy": float(match[2]), "val_accuracy": float(match[3]), **pairs(text[match.end() :])}
        return [*events, _epoch_end(values, int(match[1]), None)]
    if match := DECREASED.search(text):
        return [*events, Values({metric_name(match[1]): float(match[2])})]
    if ("pochs" in text or "EPOCHS" in text) and (match := PLAN.search(text)):
        return [*events, Fact("epochs_planned", int(match[1]))]
    return events + _training(text)


def _training(text: str) -> list[Event]:
    epoch = EPOCH.search(text)
    if epoch and text[epoch.end() : epoch.end() + 1] == "." and text[epoch.end() + 1 : epoch.end() + 2].isdigit():
        epoch = None  # epoch 1.25: a fraction
    if epoch:
        text = text[: epoch.start()] + ", " + text[epoch.end() :]
    values = pairs(text)
    step = STEP_OF.search(text) or STEP.search(text)
    if epoch:
        number, total = int(epoch[1]), int(epoch[2]) if epoch[2] else None
        if not any(is_metric(name) for name in values):
            if values and step is None:
                return [_epoch_end(values, number, total)]  # its duration
            bare = len(re.sub(r"[\W_]", "", text)) <= 12
            return [EpochStart(number, total)] if bare and step is None else []
        if step and not (step[2] and step[1] == step[2]):
            return [Progress(values, int(step[1]), int(step[2]) if step[2] else None, number, total)]
        return [_epoch_end(values, number, total)]
    if not values:
        return []
    if step and any(is_metric(name) for name in values):
        return [Progress(values, int(step[1]), int(step[2]) if step[2] else None)]
    return _loose(values)


def _epoch_end(values: dict[str, float], epoch: int, epochs: int | None) -> EpochEnd:
    duration = next(
        (
            values.pop(name)
            for name in ("time_s", "time_cost_s", "epoch_time_s", "elapsed_s", "elapsed_time_s", "duration_s")
            if name in values
        ),
        None,
    )
    return EpochEnd(values, epoch, epochs, duration)


def _loose(values: dict[str, float]) -> list[Event]:
    tested = {name.removeprefix("test_"): value for name, value in values.items() if name.startswith("test_")}
    rest = {name: value for name, value in values.items() if not name.startswith("test_")}
    final = any(name.startswith("final") for name in rest)
    return [
        *([Tested(tested)] if tested else []),
        *([Values(rest)] if rest else []),
        *([Sign("completed", "word", "the program printed its final result")] if final else []),
    ]


def is_metric(name: str) -> bool:
    """Tell whether a name of `pairs` is a metric's, not a duration's."""
    return bool(METRIC_WORDS.search(name)) or name == "loss"


def pairs(text: str) -> dict[str, float]:
    """Return the metrics and durations that a line names, by the names of `metric_name`; percentages become 0..1.

    >>> pairs("Training Loss: 1.1609 Training Accuracy: 0.63")
    {'loss': 1.1609, 'accuracy': 0.63}
    >>> pairs("Test set: Average loss: 0.0538, Accuracy: 9826/10000 (98%)")
    {'test_loss': 0.0538, 'test_accuracy': 0.9826}
    """
    values: dict[str, float] = {}
    prefix = ""
    if match := re.match(
        r"\s*(?:[\w:,. -]*\b)?((?i:test|validation|val|valid|eval(?:uation)?|train(?:ing)?))(?: set| data| results?)?\s*[:-] ",
        text,
    ):
        prefix = {"t": "test ", "v": "val ", "e": "test "}[match[1][0].lower()] if match[1][:2].lower() != "tr" else ""
        text = text[match.end() :]
    for match in PAIR.finditer(text):
        label = match["label"]
        if not match["sep"].strip() and not METRIC_WORDS.search(label.rpartition(" ")[2]):
            continue
        words = label.split(" ")
        while len(words) > 1 and words[0].upper() in ("INFO", "DEBUG", "WARNING", "THE", "AND", "FOR"):
            words = words[1:]
        label = " ".join(words)
        metric = METRIC_WORDS.search(label.rpartition(" ")[2].replace("/", " ").rpartition(" ")[2]) or re.search(
            r"(?i)\b(?:loss|acc(?:uracy)?|error)\b", label.replace("_", " ")
        )
        if match["label"].lower() in NOT_TIMES or (not metric and not TIME_WORDS.search(label)):
            continue
        name = metric_name(prefix + label).removesuffix("_epoch") if metric else metric_name(label) + "_s"
        number = float(match["number"])
        if match["of"]:
            total = float(re.match(r"/(\d+)", match["of"])[1])  # type: ignore[index]
            number = number / total if total else number
        elif match["unit"] == "%" or "@" in label:
            number = fraction(number)
        elif match["unit"] == "ms":
            number /= 1000
        values.setdefault(name, number)
    return values

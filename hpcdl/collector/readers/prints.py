"""What training scripts print in their own words: `Epoch 3/20, loss: 0.31, val acc 0.87`, `Test accuracy: 0.99`.

Covers PyTorch's and MXNet's examples, JAX and hand-written loops: an epoch or a step, and pairs of a name and a number.
"""

import re

from hpcdl.collector.events import EpochEnd, EpochStart, Event, Fact, Listed, Progress, Rate, Sign, Tested, Values
from hpcdl.collector.readers.numbers import NUMBER, POSITIVE, fraction, metric_name
from hpcdl.collector.readers.pairs import is_metric, pairs

LONGEST = 1000
"""Characters: a longer line is data or a set of options, of which only the number of epochs is read."""

MEASURES = (
    *(
        "loss",
        "Loss",
        "LOSS",
        "oss:",
        "oss=",
        "acc",
        "Acc",
        "ACC",
        "score",
        "Score",
        "error",
        "Error",
        "AUC",
        "auc",
        "F1",
        "f1",
        "ppl",
    ),
    *(
        "recision",
        "ecall",
        "IoU",
        "dice",
        "Dice",
        "erplexity",
        "BLEU",
        "mAP",
        "MAE",
        "mae",
        "mse",
        "MSE",
        "R2",
        "r2",
        "FoM",
        "fom",
    ),
    *("poch", "POCH", "time:", "time ", "Time", "time=", "_time", "uration", "took", "lapsed", "reward", "step_avg"),
)
"""A line with a measure has one of these."""
RATES = ("/sec", "/s", "per s")
WORLDS = ("ank ", "size", "SIZE")
CLOSING = ("one", "inish", "omplete", "ucces", "nded", "aved", "aving", "DONE", "FINISHED", "COMPLETED")
TRIGGERS = (*MEASURES, *CLOSING, *RATES, *WORLDS, *(f"[{digit}" for digit in range(10)))

EPOCH = re.compile(
    r"(?<![A-Za-z_])[Ee](?:poch|POCH)s?\b(?!/)\s*(?:[:#=]\s*)?[\[(]?\s*(\d+)(?!\.\d)"
    r"\s*(?:(?:/|of|out of)\s*(\d+))?\s*[\])]?"
)
PLAN = re.compile(r"(?:[Ee]pochs|EPOCHS)['\"]?\s*(?:[:=]|\s)\s*(\d+)\b(?!\.\d)")
DIGIT = re.compile(r"\d")
STEP_OF = re.compile(r"\[\s*(\d+)\s*/\s*(\d+)(?:\s*\((\d+)%\))?\s*\]")
STEP = re.compile(
    r"(?<![A-Za-z_])(?:global[_ ]?)?(?:[Ss]tep|[Ii]ter(?:ation)?|[Bb]atch|STEP|ITER)s?\s*(?:[:#=]\s*)?\[?\s*(\d+)\s*\]?"
    r"\s*(?:(?:/|of)\s*(\d+))?"
)
NOT_OURS = re.compile(
    r"improved from|did not improve|finished gradual|ReduceLROnPlateau|LearningRateScheduler|early stopping|"
    r"Restoring model|[Ss]aving model to|setting learning rate|reducing learning rate|def |print\(|f\"|\.format\("
)
"""Lines of callbacks, and lines of source code."""
LOGGING = re.compile(
    r"^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ][\d:.,]+\]?\s*)?(?:[|:-]\s*)?(?:\[?(?:INFO|DEBUG|WARNING|I)\]?\s*[:|-]?\s*)?"
    r"(?:[\w.]+:(?=\s*\[?\w))?\s*(?:- )?"
)
RATE = re.compile(
    rf"({POSITIVE}(?:e\d+)?)\s*(?:images?|imgs?|samples?|sentences|sequences|examples?)\s*/\s*s(?:ec(?:ond)?)?\b"
    rf"|(?:images?|imgs?|samples?|examples?)\s*(?:/|per)[ _]?s(?:ec(?:ond)?)?\s*[:=]\s*({POSITIVE})"
)
WORLD = re.compile(
    r"[Rr]ank \d+ (?:out )?of (\d+)|(?i:world[_ ]?size)['\"]?\s*[:=]?\s*(\d+)\b"
    r"|(?i:hvd|horovod)[._ ]size(?:\(\))?\s*[:=]?\s*(\d+)"
)
LISTED = re.compile(rf"(?:^|[:=] ?|array\()\[({NUMBER}(?:,\s*{NUMBER}){{1,20}})\]\)?$")
TRAIN_VAL = re.compile(rf"\[Epoch (\d+)\] train=({NUMBER}) val=({NUMBER})")
IMAGENET = re.compile(r" ?\* (?=(?:Acc|Prec)@1 )")  # the validation at the end of an epoch of PyTorch's example
# PyTorch's tutorial on CIFAR-10
OF_THE_NETWORK = re.compile(rf"Accuracy of the (?:network|model) on the \d+ test images: ({NUMBER}) ?%")
DECREASED = re.compile(rf"((?:\w+ ){{0,5}}\w*[Ll]oss) decreased (?:from )?\(?{NUMBER} (?:to|-->) ({NUMBER})")
DONE = re.compile(
    r"(?i)\W*(?:(?:all|job|training|train|script|program|run|experiment|model|the|is|has|was|process) )*"
    r"(?:done|finished|finish|completed?|success|successful|ended)(?: (?:training|successfully|executing))?"
    r"(?: (?:in|at|on|after) [^a-z]*.{0,40})?\W*"
)
TOOK = re.compile(r"'?([A-Za-z][\w ]{0,30}?)'? took (\d+\.?\d*) ?s?(?:ec(?:onds)?)?\b")
SAVED = re.compile(
    r"(?i)(?:successfully )?sav(?:ed|ing) (?:final |trained )?(?:model|weights|at)|(?:best )?(?:model|results) saved"
)
COMPLETE = re.compile(r"(?i)(?:optimization|training) (?:is )?(?:completed?|finished|done|ended)\b")
OVER = re.compile(r"(?i)\b(?:finished|done|completed?|ended)\b")
DURATIONS = ("time_s", "time_cost_s", "epoch_time_s", "elapsed_s", "elapsed_time_s", "duration_s")


def read(text: str) -> list[Event]:
    """Read one line; a line of source code or of a callback tells nothing."""
    if ("pochs" in text or "EPOCHS" in text) and (match := PLAN.search(text)):
        return [Fact("epochs_planned", int(match[1]))]
    if len(text) > LONGEST or ".cc:" in text:  # TensorFlow's own log: nothing of the training in it
        return []
    if closing := _closing(text):
        return closing
    if text[-1] in "])" and (match := LISTED.search(text)):
        return [Listed([float(number) for number in match[1].split(",")])]
    facts = _facts(text)
    if not any(mark in text for mark in MEASURES) or not DIGIT.search(text) or NOT_OURS.search(text):
        return facts
    return facts + _numbers(text)


def _closing(text: str) -> list[Event]:
    """Words with which programs say that they have come to their end."""
    if len(text) > 120 or not any(word in text for word in CLOSING):
        return []
    plain = LOGGING.sub("", text, count=1)
    if DONE.fullmatch(text) or DONE.fullmatch(plain) or SAVED.match(plain) or COMPLETE.match(plain):
        return [Sign("completed", "word", f'the program printed "{text.strip()[:60]}"')]
    return []


def _facts(text: str) -> list[Event]:
    events: list[Event] = []
    if any(mark in text for mark in WORLDS) and (match := WORLD.search(text)):
        events.append(Fact("ranks", int(next(group for group in match.groups() if group))))
    if any(mark in text for mark in RATES) and (match := RATE.search(text)):
        events.append(Rate(float(match[1] or match[2]), ranks=text.lstrip().lower().startswith("total")))
    return events


def _numbers(text: str) -> list[Event]:
    if " took " in text and (match := TOOK.match(text)):
        name = "_".join(match[1].lower().split())
        ended: list[Event] = [Sign("completed", "word", text.strip())] if name == "train" else []
        return [Values({f"{name}_s": float(match[2])}), *ended]
    if "[Epoch" in text and (match := TRAIN_VAL.search(text)):  # GluonCV prints accuracies without saying so
        values = {"accuracy": float(match[2]), "val_accuracy": float(match[3]), **pairs(text[match.end() :])}
        return [_epoch_end(values, int(match[1]), None)]
    if " decreased " in text and (match := DECREASED.search(text)):
        return [Values({metric_name(match[1]): float(match[2])})]
    if match := IMAGENET.match(text):
        return [EpochEnd({f"val_{name}": value for name, value in pairs(text[match.end() :]).items()})]
    if "test images" in text and (match := OF_THE_NETWORK.search(text)):
        return [Tested({"accuracy": fraction(float(match[1]))})]
    epoch = EPOCH.search(text)
    if epoch:
        text = text[: epoch.start()] + ", " + text[epoch.end() :]
    values = pairs(text)
    step = STEP_OF.search(text) or STEP.search(text)
    measured = any(is_metric(name) for name in values)
    if epoch:
        return _in_epoch(int(epoch[1]), int(epoch[2]) if epoch[2] else None, values, step, measured, text)
    if step and measured:
        return [Progress(values, int(step[1]), int(step[2]) if step[2] else None)]
    return _loose(values)


def _in_epoch(
    epoch: int, epochs: int | None, values: dict[str, float], step: re.Match[str] | None, measured: bool, text: str
) -> list[Event]:
    """Read a line that names an epoch; `text` is the rest of it."""
    if not measured:
        if OVER.search(text):
            return [_epoch_end(values, epoch, epochs)]
        if values and step is None:
            return [_epoch_end(values, epoch, epochs)]  # its duration
        bare = len(re.sub(r"[\W_]", "", text)) <= 12
        return [EpochStart(epoch, epochs)] if bare and step is None else []
    if step and not (step[2] and step[1] == step[2]):
        return [Progress(values, int(step[1]), int(step[2]) if step[2] else None, epoch, epochs)]
    return [_epoch_end(values, epoch, epochs)]


def _epoch_end(values: dict[str, float], epoch: int, epochs: int | None) -> EpochEnd:
    duration = next((values.pop(name) for name in DURATIONS if name in values), None)
    return EpochEnd(values, epoch, epochs, duration)


def _loose(values: dict[str, float]) -> list[Event]:
    tested = {name.removeprefix("test_"): value for name, value in values.items() if name.startswith("test_")}
    rest = {name: value for name, value in values.items() if not name.startswith("test_")}
    events: list[Event] = [Tested(tested)] if tested else []
    if rest:
        events.append(Values(rest))
    if any(name.startswith("final") for name in rest):
        events.append(Sign("completed", "word", "the program printed its final result"))
    return events

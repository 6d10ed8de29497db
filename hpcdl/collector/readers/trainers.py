"""Trainer frameworks with a form of their own: Lightning and tqdm, Hugging Face, Megatron and DeepSpeed, TensorFlow's
Estimator, Darknet, Weights & Biases' summary."""

import re
from collections.abc import Callable

from hpcdl.collector.events import EpochEnd, Event, Fact, Progress, Rate, Sign, Tested, Values
from hpcdl.collector.readers.numbers import NUMBER, metric_name
from hpcdl.collector.readers.pairs import pairs

TQDM = re.compile(
    r"(?P<label>[^|]*?):?\s*(?P<percent>\d+)%\|[^|]*\|\s*(?P<step>[\d.]+\w?)/(?P<steps>[\d.]+\w?)"
    r" \[(?P<times>[^\]]*)\]?(?P<after>.*)"
)
TQDM_EPOCH = re.compile(r"(?i)\bepoch\b\D{0,3}(\d+)(?:\s*(?:/|of)\s*(\d+))?")
EQUAL = re.compile(rf"([A-Za-z][\w/]*)=({NUMBER})(?![\w.])")
QUOTED = re.compile(rf"'(\w+)': '?({NUMBER})'?(?=[,}}])")
MEGATRON = re.compile(r"\s*iteration\s+(\d+)/\s*(\d+) \|(.*)")
ESTIMATOR_STEP = re.compile(rf"(?:INFO:tensorflow:|\] )?loss = ({NUMBER}), step = (\d+)")
ESTIMATOR_EVAL = re.compile(r"Saving dict for global step (\d+): (.*)")
EVAL_BLOCK = re.compile(r"\*+ ?(?:Eval|Test|Predict)(?:uation)? [Rr]esults?.*\*+")
EVAL_ITEM = re.compile(rf"(?:INFO:\S+?:)?\s*(?:\S+ - )?(\w[\w ]*?) = ({NUMBER})")
MAX_EPOCHS = re.compile(r"`?Trainer\.fit`? stopped: `?max_epochs=(\d+)`? reached")
DARKNET = re.compile(
    r"\s*(\d+): (\d+\.\d+), (\d+\.\d+) avg(?: loss)?, (\d+\.\d+) rate, (\d+\.\d+) seconds, (\d+) images"
)
CHECKPOINT = re.compile(rf"Epoch (\d+), global step \d+: '(\w+)' (?:reached ({NUMBER})|was not in top)")
WANDB_END = re.compile(r"wandb: Waiting for W&B process to finish\.\.\. \((success|failed (\d+))\)")
WANDB = re.compile(rf"wandb:\s+([A-Za-z]\w*(?:/\w+)?)\s+({NUMBER})")


def reader() -> tuple[tuple[str, ...], Callable[[str], list[Event]]]:
    """Return triggers and a function that reads one file's lines in order; it remembers an open block of results."""
    state = {"block": False}

    def read(text: str) -> list[Event]:
        if state["block"]:
            if match := EVAL_ITEM.fullmatch(text):
                name = metric_name(match[1].removeprefix("eval_"))
                return [Tested({name: float(match[2])})] if name not in ("epoch", "global_step") else []
            state["block"] = False
        if "%|" in text and (match := TQDM.match(text)):
            return _tqdm(match)
        if "'" in text and text.lstrip().startswith("{"):
            return _hugging_face(text)
        if "iteration" in text and (match := MEGATRON.search(text)):
            return _megatron(match)
        if "step = " in text and (match := ESTIMATOR_STEP.search(text)):
            return [Progress({"loss": float(match[1])}, int(match[2]))]
        if "Saving dict" in text and (match := ESTIMATOR_EVAL.search(text)):
            values = {
                metric_name(name): float(value) for name, value in re.findall(rf"(\S+) = ({NUMBER})(?=,|$)", match[2])
            }
            return [Tested({name: value for name, value in values.items() if name != "global_step"})]
        if "***" in text and EVAL_BLOCK.search(text):
            state["block"] = True
            return [Sign("completed", "word", "the program printed its evaluation")]
        if "max_epochs" in text and (match := MAX_EPOCHS.search(text)):
            return [Fact("epochs_planned", int(match[1])), Sign("completed", "success", match[0])]
        if "global step" in text and (match := CHECKPOINT.match(text)):
            values = {metric_name(match[2]): float(match[3])} if match[3] else {}
            return [EpochEnd(values, int(match[1]), from_zero=True)]
        if text.startswith("wandb: W") and (match := WANDB_END.match(text)):
            if match[2]:
                return [Sign("crash", "consequence", f"the program left with exit code {match[2]} (wandb)")]
            return [Sign("completed", "word", "wandb: the program ended well")]
        if " avg" in text and (match := DARKNET.fullmatch(text)):
            return [Fact("framework", "darknet"), Progress({"loss": float(match[3])}, int(match[1]))]
        if text.startswith("wandb: ") and (match := WANDB.fullmatch(text)):
            return _wandb(match[1], float(match[2]))
        return []

    return ("",), read


def _tqdm(match: re.Match[str]) -> list[Event]:
    """Read a tqdm bar: an epoch's (Lightning's, 0-based) where its label says so, else only that work goes on."""
    epoch = TQDM_EPOCH.search(match["label"])
    values = {metric_name(name): float(number) for name, number in EQUAL.findall(match["times"] + match["after"])}
    values = {name: value for name, value in values.items() if name != "v_num"}
    counted = match["step"].isdecimal() and match["steps"].isdecimal()
    step = float(match["step"]) if counted else None
    steps = float(match["steps"]) if counted else None
    if not epoch:
        return [Progress(values if "loss" in values else {}, step, steps)] if "loss" in values else []
    number, total = int(epoch[1]), int(epoch[2]) if epoch[2] else None
    from_zero = "v_num=" in match["times"] + match["after"]  # Lightning's own bar
    if match["percent"] == "100" and match["step"] == match["steps"]:
        return [EpochEnd(values, number, total, from_zero=from_zero)]
    return [Progress(values, step, steps, number, total, from_zero)]


def _hugging_face(text: str) -> list[Event]:
    values = {name: float(number) for name, number in QUOTED.findall(text)}
    if "train_runtime" in values:
        events: list[Event] = [Fact("framework", "transformers"), Fact("train_s", values["train_runtime"])]
        if "train_samples_per_second" in values:
            events.append(Rate(values["train_samples_per_second"], ranks=True, final=True))
        if "train_loss" in values:
            events.append(Values({"train_loss_average": values["train_loss"]}))
        return [*events, Sign("completed", "success", "the trainer printed its run time")]
    if "epoch" not in values or not ("loss" in values or "eval_loss" in values):
        return []
    epoch = values.pop("epoch")
    if "eval_loss" in values:
        named = {"val_" + metric_name(name.removeprefix("eval_")): value for name, value in values.items()}
        if epoch == int(epoch) and epoch > 0:
            return [Fact("framework", "transformers"), EpochEnd(named, int(epoch))]
        return [Fact("framework", "transformers"), Values(named)]
    loss = {"loss": values["loss"]}
    return [Fact("framework", "transformers"), Progress(loss, None, None, int(epoch) + 1)]


def _megatron(match: re.Match[str]) -> list[Event]:
    values = {}
    for item in match[3].split("|"):
        name, _, number = item.partition(":")
        if re.fullmatch(NUMBER, number.strip()) and "loss" in name and "scale" not in name:
            values["loss" if name.strip() in ("lm loss", "loss") else metric_name(name)] = float(number)
        if name.strip().startswith("elapsed time per iteration") and re.fullmatch(NUMBER, number.strip()):
            values["ms_per_step"] = float(number)
    return [Fact("framework", "megatron"), Progress(values, int(match[1]), int(match[2]))]


def _wandb(label: str, number: float) -> list[Event]:
    found = pairs(f"{label}: {number}")
    tested = {name.removeprefix("test_"): value for name, value in found.items() if name.startswith("test_")}
    rest = {name: value for name, value in found.items() if not name.startswith("test_")}
    return [*([Tested(tested)] if tested else []), *([Values(rest)] if rest else [])]

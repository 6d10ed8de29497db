"""Train as `hpcdl train` does, with something wrong on rank 1: KIND JOB_FILE RUNS MARK_FILE.

MARK_FILE gets the time at which it went wrong.
"""

import math
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from hpcdl.errors import DataError
from hpcdl.train import data, heartbeat, start, trainer
from hpcdl.train.data.digits import load_digits
from hpcdl.train.world import run_and_exit, world

kind, job_file, runs, mark = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
trained = []


def before_step(step, action, rank=1):
    """Call `action` on one rank when `step` steps are done."""
    check_in = trainer.check_in

    def act_and_check(us, loss, done, signal_name):
        if us.rank == rank and done >= step:
            mark.write_text(str(time.time()))
            loss = action() or loss
        return check_in(us, loss, done, signal_name)

    trainer.check_in = act_and_check


def fail():
    raise ValueError("rank 1 has had enough")


def spoil_weights():
    variable = trained[0].trainable_variables[0]
    variable.assign(variable.value.numpy() + 1e-3)


def load_with_one_pixel_changed():
    digits = load_digits()
    digits.train_inputs[5, 10, 10] ^= 1
    return digits


def refuse_to_load():
    raise DataError("no digits here")


def sabotage_and_start():
    odd = world().rank == 1
    build, versions = trainer.build_model, trainer.versions
    if kind in ("data", "absent"):  # as if each rank had a node of its own: one rank of each node reads the data
        alone = replace(world(), local_rank=0, local_size=1)
        trainer.world = lambda: alone
    if kind == "data" and odd:
        data.SOURCES["digits"] = data.Source("", load_with_one_pixel_changed)
    elif kind == "absent" and odd:
        data.SOURCES["digits"] = data.Source("", refuse_to_load)
    elif kind == "versions" and odd:
        trainer.versions = lambda: {**versions(), "keras": "3.0.0"}
    elif kind == "weights":
        trainer.build_model = lambda *arguments: trained.append(build(*arguments)) or trained[0]
        before_step(3, spoil_weights)
    elif kind == "nan":
        before_step(3, lambda: math.nan)
    elif kind == "raise":
        before_step(3, fail)
    elif kind in ("stop_0", "stop_1"):
        heartbeat.BEAT_S, heartbeat.SILENT_S = 0.5, 10.0
        before_step(3, lambda: os.kill(os.getpid(), signal.SIGSTOP), rank=int(kind[-1]))
    elif kind == "late":
        heartbeat.BEAT_S, heartbeat.LATE_S = 0.5, 3.0
        feed = trainer.feed

        def late(inputs, blocks):
            for number, block in enumerate(feed(inputs, blocks)):
                if number == 1:
                    mark.write_text(str(time.time()))
                    time.sleep(6 if odd else 0)
                if number == 2:
                    raise RuntimeError("enough")
                yield block

        trainer.feed = late
    elif kind == "kill":
        before_step(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
    start.start(job_file.with_name("other.yaml") if kind == "job" and odd else job_file, [], None, runs)


run_and_exit(sabotage_and_start)

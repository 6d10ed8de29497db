"""Train a source, unless one is given, and two transfers of it in these processes: FOLDER [SOURCE]."""

import sys
from pathlib import Path

from ruamel.yaml import YAML

from hpcdl.job import load_job
from hpcdl.run import record
from hpcdl.run.folder import fill_run_folder
from hpcdl.train import trainer
from hpcdl.train.world import world

STAGES = [
    {"epoch": 2, "layers": ["dense"], "learning_rate_factor": 0.5},
    {"epoch": 3, "layers": ["conv2d_1:"]},
]
JOBS = {"source": None, "head": {}, "stages": {"unfreeze": STAGES}}

us, root = world(), Path(sys.argv[1])
source = sys.argv[2] if len(sys.argv) > 2 else str(root / "source")
trainer.claim_device = lambda us: "1 core"  # a process can set its threads only once
for name, transfer in list(JOBS.items())[len(sys.argv) - 2 :]:
    folder = root / name
    training = {
        "model": "mnist_cnn",
        "data": {
            "name": "digits",
            "classes": [5, 6, 7, 8, 9] if transfer is not None else [0, 1, 2, 3],
            "per_class": 32,
        },
        "epochs": 3,
        "batch_size": 32 // us.size,
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    }
    if transfer is not None:
        training["transfer"] = {"weights": source, **transfer}
    if us.rank == 0:
        folder.mkdir(parents=True)
        with open(folder / "given.yaml", "w") as file:
            YAML().dump({"name": name, "resources": {"time": "00:10:00"}, "train": training}, file)
        fill_run_folder(folder, load_job(folder / "given.yaml"))
        record.create(folder)
    us.allgather(None)
    trainer.train(load_job(folder / "given.yaml"), folder)

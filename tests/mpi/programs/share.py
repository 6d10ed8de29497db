"""Two simulated nodes of two ranks each share a data set: what each rank got, who loaded it, what stays behind."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train import node
from hpcdl.train.data import Data, Dataset, load_dataset
from hpcdl.train.data.stream import Stream
from hpcdl.train.node import on_device, share_data
from hpcdl.train.world import WorldError, world

us = world()
node_of = us.communicator.Split(us.rank // 2, us.rank)
us = replace(us, local_rank=node_of.rank, local_size=node_of.size, node=node_of)
calls, told = [], {}
MEBIBYTES = 40


def shared_mib() -> float:
    """This rank's part (PSS) of the memory that ranks share, as the kernel counts it."""
    areas = Path("/proc/self/smaps").read_text().split("VmFlags:")
    ours = [area for area in areas if f"{node.MEMORY_FOLDER}/hpcdl-" in area]
    return sum(int(line.split()[1]) for area in ours for line in area.splitlines() if line.startswith("Pss:")) / 1024


def big() -> Dataset:
    calls.append(us.rank)
    return load_dataset(Data(name="synthetic", shape=[1024, 1024, 1], num_train=MEBIBYTES, num_test=1, num_classes=2))


def of_noise(row: int) -> np.ndarray:
    return np.full((4, 1), row, np.float32)


def streamed() -> Dataset:
    inputs = Stream(of_noise, range(5), (4, 1), np.float32, "noise")
    return Dataset("streamed", inputs, np.zeros(5, np.int64), inputs, np.zeros(5, np.int64), 2)


def unnamed() -> Dataset:
    calls.append(us.rank)
    inputs = Stream(lambda row: of_noise(row), range(5), (4, 1), np.float32, "noise")
    return Dataset("unnamed", inputs, np.zeros(5, np.int64), inputs, np.zeros(5, np.int64), 2)


def refuse() -> Dataset:
    if us.rank == 2:
        raise DataError("no data on this node")
    return streamed()


data = share_data(us, big)
told["callers"] = us.allgather(list(calls))
tensor = on_device(data.train_inputs)
total = int(np.asarray(tensor).sum(dtype=np.int64))  # every page is touched
us.communicator.barrier()
told["digests"] = us.allgather(data.digest)
told["sums"] = us.allgather(total)
told["shared_mib"] = us.allgather(shared_mib())
told["aliased"] = us.allgather(np.shares_memory(data.train_inputs, np.from_dlpack(tensor)))
told["left"] = [name for name in os.listdir("/dev/shm") if name.startswith("hpcdl-")]

told["streamed"] = us.allgather(np.asarray(share_data(us, streamed).train_inputs)[:, 0, 0].tolist())
calls.clear()
told["unnamed"] = us.allgather(np.asarray(share_data(us, unnamed).train_inputs)[:, 0, 0].tolist())
told["unnamed_callers"] = us.allgather(list(calls))
calls.clear()
node.MEMORY_FOLDER = Path("/no/such/folder")
told["no_room"] = us.allgather(share_data(us, big).digest)
told["no_room_callers"] = us.allgather(list(calls))
try:
    share_data(us, refuse)
except WorldError as error:
    told["refused"] = us.allgather(str(error))
if us.rank == 0:
    Path(sys.argv[1]).write_text(json.dumps(told))

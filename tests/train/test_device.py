"""Which GPU a rank takes, and what is said of one that is not there; with lists of GPUs that this machine has not."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from hpcdl.train import device
from hpcdl.train.device import check_gpus, claim_device, gpu_fault
from hpcdl.train.world import World, WorldError


@pytest.fixture
def machine(monkeypatch):
    """Return a function that gives TensorFlow so many GPUs; what is made visible lands in its list."""
    taken = []

    def has(gpus, cuda=True):
        experimental = SimpleNamespace(
            set_memory_growth=lambda gpu, on: taken.append((gpu, on)),
            get_device_details=lambda gpu: {"device_name": "A100"},
        )
        threading = SimpleNamespace(
            set_intra_op_parallelism_threads=lambda threads: None, set_inter_op_parallelism_threads=lambda threads: None
        )
        config = SimpleNamespace(
            list_physical_devices=lambda kind: [f"gpu{i}" for i in range(gpus)],
            set_visible_devices=lambda gpu, kind: taken.append(gpu),
            experimental=experimental,
            threading=threading,
        )
        test = SimpleNamespace(is_built_with_cuda=lambda: cuda)
        monkeypatch.setattr(device, "tf", SimpleNamespace(config=config, test=test))
        monkeypatch.setattr(device, "stay_on", lambda cores: None)  # the process of the tests has more to do
        return taken

    return has


@pytest.mark.parametrize(
    ("gpus", "local_rank", "expected"),
    [
        (4, 0, 0),  # --gres=gpu:4: every task sees all GPUs of its node
        (4, 3, 3),
        (1, 0, 0),  # --gpus-per-task=1: every task sees its own as number 0
        (1, 3, 0),
        (2, 3, 1),  # two ranks on each GPU
    ],
)
def test_each_rank_takes_its_own_gpu(machine, gpus, local_rank, expected):
    taken = machine(gpus)
    told = claim_device(World(local_rank, 4, local_rank, 4, "host"))
    assert told == f"GPU {expected} of {gpus} (A100)"
    assert taken == [f"gpu{expected}", (f"gpu{expected}", True)]


@pytest.mark.parametrize(
    ("mine", "theirs", "kept"),
    [
        ({0, 2, 4, 6, 8}, {0, 2, 4, 6, 8}, [4, 6]),  # nobody has bound the ranks
        ({4, 5}, {0, 1}, None),  # the launcher has
        ({3}, {3}, None),  # fewer cores than ranks
    ],
)
def test_ranks_that_nobody_has_bound_keep_to_cores_of_their_own(machine, monkeypatch, mine, theirs, kept):
    machine(0)
    found = []
    monkeypatch.setattr(device, "stay_on", found.append)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda process: mine)
    everyone = SimpleNamespace(allgather=lambda value: [("host", sorted(theirs)), value])
    claim_device(World(1, 2, 1, 2, "host", everyone))
    assert found == ([kept] if kept else [])


def test_all_threads_of_the_process_stay_on_their_cores():
    program = """
import os, threading
from hpcdl.train.device import stay_on
waiting = threading.Event()
threading.Thread(target=waiting.wait).start()
core = max(os.sched_getaffinity(0))
stay_on([core])
print(*[os.sched_getaffinity(int(thread)) == {core} for thread in os.listdir("/proc/self/task")])
waiting.set()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) == {"True"}
    assert len(ended.stdout.split()) > 1


def test_without_a_gpu_the_cores_are_taken(machine):
    taken = machine(0)
    assert "core" in claim_device(World(0, 1, 0, 1, "host"))
    assert taken == []


FULL, EMPTY = ("node1", 4, "0,1,2,3"), ("node2", 0, "")


@pytest.mark.parametrize(
    ("seen", "asked", "in_job", "expected"),
    [
        ([FULL, FULL], 4, True, None),
        ([EMPTY, EMPTY], 0, True, None),
        ([EMPTY, EMPTY], 4, False, None),
        ([FULL, EMPTY], 4, True, "rank 1 on node2 sees no GPU; CUDA_VISIBLE_DEVICES is ''."),
        ([FULL, EMPTY], 0, False, "rank 1 on node2 sees no GPU; CUDA_VISIBLE_DEVICES is ''."),
        (
            [("node3", 0, None)] * 2,
            4,
            True,
            "rank 0 on node3 sees no GPU (2 of 2 ranks see none); CUDA_VISIBLE_DEVICES is",
        ),
    ],
)
def test_a_gpu_that_is_not_there_is_a_fault_of_a_named_rank(seen, asked, in_job, expected):
    fault = gpu_fault(seen, asked, in_job)
    assert fault is None if expected is None else fault.startswith(expected)


def test_a_job_that_asks_for_gpus_is_refused_in_slurm_and_told_elsewhere(machine, monkeypatch):
    alone = World(0, 1, 0, 1, "host")
    machine(0)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert check_gpus(alone, 0) is None
    assert check_gpus(alone, 2).startswith("The job asks for 2 GPUs on each node, but TensorFlow sees none here")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with pytest.raises(WorldError, match="rank 0 on host sees no GPU"):
        check_gpus(alone, 2)
    machine(0, cuda=False)
    assert "computes on the cores" in check_gpus(alone, 2)
    machine(2)
    assert check_gpus(alone, 2) is None

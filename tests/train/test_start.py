"""The entry of one rank."""

import subprocess
import sys

PROGRAM = """
import os, signal
from pathlib import Path
from hpcdl.train import start
from hpcdl.train.world import Stopped

def train(job, folder):
    raise Stopped("SIGUSR1 stopped the run")

start.train = train
try:
    start.start(Path("job.yaml"), [], None, Path("runs"))
except Stopped as error:
    os.kill(os.getpid(), signal.SIGTERM)
    raise SystemExit(int(error.exit_code))
"""
JOB = """name: short
resources: {nodes: 1, ranks_per_node: 1, time: '00:10:00'}
train: {model: mlp, data: digits, epochs: 1, batch_size: 8}
"""


def test_a_rank_that_ends_as_all_do_keeps_its_exit_code_when_the_launcher_ends_the_rest(tmp_path):
    """srun --kill-on-bad-exit sends SIGTERM to the ranks that are still leaving when the first one has left."""
    (tmp_path / "job.yaml").write_text(JOB)
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 75, ended.stderr

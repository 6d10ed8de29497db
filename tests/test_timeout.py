"""What a job file says of its time limit, and what sites make of it."""

import pytest

from hpcdl.errors import JobFileError
from hpcdl.fit import timeout_at
from hpcdl.job import load_job
from hpcdl.run.folder import JOB_FILE, fill_run_folder
from hpcdl.sbatch import sbatch_options
from hpcdl.settings import Settings
from hpcdl.site import Launch, Site, load_site

TRAINING = """
name: x
resources: {time: "00:30:00"}
train: {model: mnist_cnn, data: digits, epochs: 1, batch_size: 8}
"""
COMMAND = """
name: x
resources: {time: "00:30:00"}
command: ./work
"""


def job(folder, text, **changes):
    (folder / "job.yaml").write_text(text)
    return load_job(folder / "job.yaml", {key.replace("__", "."): value for key, value in changes.items()})


def options(folder, text, **changes):
    return sbatch_options(job(folder, text, **changes), load_site("generic"), None, Settings())


@pytest.mark.parametrize(
    ("text", "changes", "signal", "requeue"),
    [
        (TRAINING, {}, "B:USR1@120", True),
        (TRAINING, {"resources__time": "00:10:00"}, "B:USR1@120", True),
        (TRAINING, {"resources__time": "00:09:59"}, None, False),
        (TRAINING, {"on_timeout": {"requeues": 0}}, "B:USR1@120", False),
        (TRAINING, {"on_timeout": {"signal_before": "00:10:00"}}, "B:USR1@600", True),
        (TRAINING, {"slurm": {"signal": "USR2@60"}}, "USR2@60", False),
        (TRAINING, {"slurm": {"no-requeue": True}}, "B:USR1@120", False),
        (COMMAND, {}, None, False),
        (COMMAND, {"on_timeout": {}}, "B:USR1@120", True),
    ],
)
def test_trainings_that_are_not_short_and_whoever_asks_get_a_notice(tmp_path, text, changes, signal, requeue):
    asked = options(tmp_path, text, **changes)
    assert asked.get("signal") == signal
    assert (asked.get("requeue"), asked.get("open-mode")) == ((True, "append") if requeue else (None, None))


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        (COMMAND, {"on_timeout": {"signal_before": "00:29:00"}}, "leaves nothing of resources.time 00:30:00"),
        (COMMAND, {"on_timeout": {"signal_before": "18:12:16"}}, "give at most 18:12:15"),
        (COMMAND, {"on_timeout": {"signal_before": "90"}}, "write HH:MM:SS"),
        (COMMAND, {"on_timeout": {"requeue": 3}}, "Did you mean 'requeues'"),
        (COMMAND, {"on_timeout": {}, "slurm": {"no-requeue": True}}, "slurm.no-requeue: forbids"),
        (TRAINING, {"on_timeout": {"checkpoint_command": "x"}}, "a training writes its checkpoint by itself"),
        (TRAINING, {"on_timeout": {"exit_code": 3}}, "a training writes its checkpoint by itself"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, text, changes, said):
    with pytest.raises(JobFileError) as refused:
        job(tmp_path, text, **changes)
    assert said in str(refused.value)


def test_slurm_s_own_words_for_it_are_not_taken_beside_the_section(tmp_path):
    with pytest.raises(JobFileError, match=r"slurm\.signal: the job says this in other words"):
        options(tmp_path, COMMAND, on_timeout={}, slurm={"signal": "USR2@60"})


def test_a_site_without_a_notice_refuses_a_job_that_asks_and_runs_one_that_does_not(tmp_path):
    ibrun = Site(name="x", title="x", scheduler="slurm", launch=Launch(program="ibrun"))
    for site in (load_site("vsc-ugent"), ibrun):
        assert timeout_at(job(tmp_path, TRAINING), site) is None
        with pytest.raises(JobFileError, match="Leave it out here by --set on_timeout=null"):
            timeout_at(job(tmp_path, TRAINING, on_timeout={}), site)
    assert timeout_at(job(tmp_path, TRAINING, on_timeout={}), load_site("local")) is None


def test_a_run_folder_holds_a_training_with_its_time_limit_so_that_the_ranks_can_read_it(tmp_path):
    asked = job(tmp_path, TRAINING, on_timeout={"requeues": 0})
    fill_run_folder(tmp_path / "run", asked)
    assert load_job(tmp_path / "run" / JOB_FILE) == asked

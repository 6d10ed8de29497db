"""Why a run ended: signs of the scheduler, the program and the launcher weighed against each other."""

from pathlib import Path

import pytest

from hpcdl.collector import OUTCOMES, Row, collect_rows

EPOCHS = ["Epoch 1/2", "10/10 - 3s - loss: 0.5 - acc: 0.9", "Epoch 2/2", "10/10 - 3s - loss: 0.4 - acc: 0.95"]
TRACEBACK = ["Traceback (most recent call last):", '  File "train.py", line 3, in <module>', "    main()"]
HALF = EPOCHS[:3]


@pytest.fixture
def row_of(tmp_path):
    """Write lines as a job's log (`out`) and its error log (`err`), and return the one row that they give."""

    def read(out: list[str], err: list[str] | None = None) -> Row:
        (tmp_path / "job_out.12").write_text("\n".join(out) + "\n")
        if err is not None:
            (tmp_path / "job_err.12").write_text("\n".join(err) + "\n")
        (row,) = collect_rows([tmp_path], pytest.fail)
        assert row.outcome in OUTCOMES
        assert (row.cause is None) == (row.outcome == "completed")
        return row

    return read


# What the sandbox's Slurm wrote for jobs that ended badly: their log, then scontrol's word on them.
SANDBOX = Path(__file__).parent / "logs" / "slurm"
BY_SLURM = {
    "time-limit": "time_limit",
    "cancelled": "cancelled",
    "preempted": "preempted",
    "node-failure": "node_failure",
    "out-of-memory": "oom_host",
    "out-of-memory-in-step": "oom_host",
    "missing-module": "module_error",
    "bad-partition": "launch_failure",
}


@pytest.mark.parametrize("name", BY_SLURM)
def test_how_a_real_slurm_ends_a_job(row_of, name):
    log = (SANDBOX / f"{name}.txt").read_text().partition("### scontrol")[0]
    assert row_of(log.splitlines()[1:]).outcome == BY_SLURM[name]


def test_a_job_that_slurm_could_not_launch_has_no_log_but_a_state(row_of):
    state = (SANDBOX / "missing-output-folder.txt").read_text().partition("### scontrol show job\n")[2]
    assert row_of(state.splitlines()).outcome == "launch_failure"


CANCEL = "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2024-05-18T12:04:20"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (CANCEL + " DUE TO TIME LIMIT ***", "time_limit"),
        (CANCEL + " DUE TO PREEMPTION ***", "preempted"),
        (CANCEL + " DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***", "node_failure"),
        (CANCEL + " DUE to SIGNAL Terminated ***", "cancelled"),
        (CANCEL + " ***", "cancelled"),
        ("slurmstepd: *** JOB 12 CANCELLED AT 2015-09-04T16:40:47 *** on n1", "cancelled"),
        (
            "[2026-09-21T10:00:00.123] error: *** JOB 12 ON n1 CANCELLED AT 2026-09-21T10:00:00 DUE TO TIME LIMIT ***",
            "time_limit",
        ),
        (
            "slurmstepd-n1: error: *** STEP 12.0 ON n1 CANCELLED AT 2024-05-18T12:04:20 DUE TO TIME LIMIT ***",
            "time_limit",
        ),
        ("slurmstepd: error: *** JOB 12 ON n1 UNCORRECTABLE MEMORY ERROR AT 2024-05-18T12:04:20 ***", "node_failure"),
        ("srun: error: Node failure on n1", "node_failure"),
        (
            "slurmstepd: error: Detected 2 oom-kill event(s) in step 12.batch cgroup. Some of your processes may",
            "oom_host",
        ),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.1. Some of the step tasks have been OOM Killed.",
            "oom_host",
        ),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch", "oom_host"),
        ("srun: error: n1: task 0: Out Of Memory", "oom_host"),
        ("slurmstepd: error: Job 12 exceeded memory limit (50385312 > 49152000), being killed", "memory_limit"),
        ("srun: error: Unable to create step for job 12: More processors requested than permitted", "launch_failure"),
        ("slurmstepd: error: execve(): /home/x/train: No such file or directory", "launch_failure"),
        ("=>> PBS: job killed: walltime 3635 exceeded limit 3600", "time_limit"),
        ("=>> PBS: job killed: mem 1234kb exceeded limit 1000kb", "memory_limit"),
        ("TERM_RUNLIMIT: job killed after reaching LSF run time limit.", "time_limit"),
        ("TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.", "memory_limit"),
        ("TERM_OWNER: job killed by owner.", "cancelled"),
        ("/var/spool/slurmd/job12/slurm_script: line 20:  3579 Killed                  python train.py", "crash"),
        ("/var/spool/slurmd/job12/slurm_script: line 16: 28807 Bus error               python train.py", "crash"),
        ("Segmentation fault (core dumped)", "crash"),
        ("MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD", "crash"),
        (
            "mpirun noticed that process rank 0 with PID 19474 on node n1 exited on signal 11 (Segmentation fault).",
            "crash",
        ),
        ("[1,3]<stderr>:Fatal Python error: Segmentation fault", "crash"),
        (
            "[rank1]:[E ProcessGroupNCCL.cpp:475] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)",
            "crash",
        ),
        ("darknet: ./src/cuda.c:36: check_error: Assertion `0' failed.", "crash"),
        ("train.py: error: unrecognized arguments: --epoch", "crash"),
        (
            "python: error while loading shared libraries: libcublas.so.9.0: cannot open shared object file",
            "module_error",
        ),
        ("bash: line 3: horovodrun: command not found", "module_error"),
        ('Lmod has detected the following error: The following module(s) are unknown: "tensorflow"', "module_error"),
        ("cp: error writing 'x': No space left on device", "disk_full"),
    ],
)
def test_one_line_ends_a_run(row_of, line, outcome):
    row = row_of(["loading data", line])
    assert row.outcome == outcome
    assert (row.evidence.line, row.evidence.file.endswith("job_out.12")) == (2, True)
    assert row.next_step


@pytest.mark.parametrize(
    ("exception", "outcome"),
    [
        ("KeyError: 'categorical_accuracy'", "crash"),
        ("ModuleNotFoundError: No module named 'horovod'", "crash"),
        ("my.package.OddName: text", "crash"),
        ("RuntimeError: CUDA out of memory. Tried to allocate 32.90 GiB (GPU 0; 31.74 GiB total capacity)", "oom_gpu"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "oom_gpu"),
        ("tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor", "oom_gpu"),
        ("MemoryError", "oom_host"),
        ("OSError: [Errno 122] Disk quota exceeded", "disk_full"),
        ("OSError: [Errno 28] No space left on device: 'x.h5'", "disk_full"),
        ("KeyboardInterrupt", "cancelled"),
    ],
)
def test_an_exception_ends_a_run(row_of, exception, outcome):
    row = row_of(HALF + TRACEBACK + [exception])
    assert row.outcome == outcome
    assert row.evidence.text == exception
    assert (row.epochs_done, row.epochs_planned) == (1, 2)


def test_an_error_after_the_training_is_told_apart(row_of):
    row = row_of([*EPOCHS, "2/2 [===] - 1s - loss: 0.3 - acc: 0.9"], [*TRACEBACK, "KeyError: 'categorical_accuracy'"])
    assert (row.outcome, row.test_accuracy, row.cause) == (
        "crash_after_training",
        0.9,
        "KeyError: 'categorical_accuracy'",
    )
    assert row.evidence.file.endswith("job_err.12")


def test_an_error_that_the_training_survived_is_none(row_of):
    assert row_of([*TRACEBACK, "pkg_resources.VersionConflict: (keras 1)", *EPOCHS, "All done!"]).outcome == "completed"
    assert row_of(["RESOURCE_EXHAUSTED: Out of memory while trying 3", *EPOCHS]).outcome == "completed"


@pytest.mark.parametrize(
    "lines",
    [
        [
            "Exception ignored in: <bound method Session.__del__>",
            *TRACEBACK,
            "TypeError: 'NoneType' object is not callable",
        ],
        ["Allocator (GPU_0_bfc) ran out of memory trying to allocate 2GiB. It says that this is not a failure, but"],
        ["slurmstepd: error: Exceeded step memory limit at some point."],
    ],
)
def test_harmless_words_are_no_failure(row_of, lines):
    assert row_of(EPOCHS + lines).outcome == "completed"


def test_a_module_error_explains_only_what_nothing_else_does(row_of):
    lmod = 'Lmod has detected the following error: The following module(s) are unknown: "conda"'
    assert row_of([lmod, *EPOCHS]).outcome == "completed"
    assert row_of([lmod, *TRACEBACK, "PermissionError: [Errno 13]"]).outcome == "crash"
    assert row_of([lmod, *["some output"] * 40]).outcome == "unknown"


def test_the_cause_stands_before_the_cancellation_that_follows_from_it(row_of):
    lines = [
        *TRACEBACK,
        "RuntimeError: port in use",
        "srun: error: n1: task 3: Exited with exit code 1",
        CANCEL + " ***",
    ]
    assert row_of(lines).cause == "RuntimeError: port in use"


def test_what_a_program_prints_while_it_is_cancelled_is_no_cause(row_of):
    assert row_of([*HALF, CANCEL + " ***", *TRACEBACK, "RuntimeError: DataLoader worker killed"]).outcome == "cancelled"
    assert row_of([*HALF, *TRACEBACK, "KeyboardInterrupt", CANCEL + " ***"]).outcome == "cancelled"
    assert row_of([CANCEL + " ***", "forrtl: error (78): process killed (SIGTERM)"]).outcome == "cancelled"


def test_consequences_are_not_the_cause(row_of):
    lines = [
        *TRACEBACK,
        "ValueError: bad shape",
        *TRACEBACK,
        "horovod.common.exceptions.HorovodInternalError: Horovod has been shut down. This was caused by an exception",
        *TRACEBACK,
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        "Primary job  terminated normally, but 1 process returned",
    ]
    assert row_of(lines).cause == "ValueError: bad shape"
    assert row_of(lines[4:]).outcome == "crash"  # alone they still are a crash


def test_memory_goes_before_the_cancellation_that_comes_with_it(row_of):
    oom = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch. Some of your processes may have"
    assert row_of([*HALF, CANCEL + " ***", oom]).outcome == "oom_host"
    assert row_of(
        [*HALF, "slurmstepd: error: Job 12 exceeded memory limit (5 > 4), being killed", CANCEL + " ***"]
    ).outcome == ("memory_limit")


def test_the_scheduler_and_the_program_are_weighed(row_of):
    assert row_of(['Cannot load image "x.jpg"', "State               : COMPLETED"]).outcome == "crash"
    assert row_of([*HALF, "State               : FAILED"]).outcome == "crash"
    assert row_of([*HALF, "State : CANCELLED,CANCELLED by 1000"]).cause == "cancelled by user id 1000"
    who = row_of([*HALF, CANCEL + " ***", "State : CANCELLED,CANCELLED by 1000"]).cause
    assert who == "cancelled at 2024-05-18T12:04:20 on n1 (cancelled by user id 1000)"
    assert row_of(["Done!", *TRACEBACK, "ImportError: no", "job finished", "State : COMPLETED"]).outcome == "crash"


@pytest.mark.parametrize(("status", "outcome"), [(0, "completed"), (1, "crash"), (271, "cancelled"), (137, "crash")])
def test_exit_status_of_pbs(row_of, status, outcome):
    assert row_of(["working", f"\tExit Status: {status}"]).outcome == outcome


def test_a_signal_of_pbs_after_all_its_time_is_the_time_limit(row_of):
    used = "Walltime requested: 01:00:00 \t\t\tWalltime Used: 01:00:07"
    assert row_of(["working", "\tExit Status: 271", used]).outcome == "time_limit"
    assert row_of(["working", "\tExit Status: 271", used.replace("01:00:07", "00:10:00")]).outcome == "cancelled"
    assert row_of(["working", "\tExit Status: 0", used]).outcome == "completed"


def test_a_helper_that_is_killed_fails_no_job_that_went_well(row_of):
    assert row_of([*EPOCHS, "./monitor.sh: line 3: 77 Killed   sleep 1000", "\tExit Status: 0"]).outcome == "completed"
    assert row_of([*HALF, "run.sh: line 3: 77 Killed   python train.py"]).outcome == "crash"


def test_every_end_has_its_evidence(row_of):
    assert row_of(EPOCHS).evidence.line == 4
    assert row_of(HALF).evidence.line == 3
    row = row_of(["Epoch 1, loss 0.5", "Epoch 2, loss 0.4"])
    assert (row.outcome, row.evidence.text) == ("unknown", "Epoch 2, loss 0.4")
    assert "planned" in row.cause


def test_a_log_that_stops_is_incomplete_and_an_empty_one_unknown(row_of):
    assert row_of(HALF).outcome == "incomplete"
    assert row_of(["nohup: ignoring input"]).outcome == "unknown"


def test_a_requeued_job_is_judged_by_its_end(row_of):
    assert row_of([*HALF, CANCEL + " DUE TO JOB REQUEUE ***"]).outcome == "preempted"


def test_a_stall_is_the_cause_only_where_the_log_ends_with_it(row_of):
    stall = "WARNING: One or more tensors were submitted to be reduced, gathered or broadcasted by subset of ranks"
    assert "ranks stalled" in row_of([*HALF, stall]).cause
    assert row_of([stall, *EPOCHS]).outcome == "completed"
    assert row_of([*HALF, stall, CANCEL + " DUE TO TIME LIMIT ***"]).outcome == "time_limit"

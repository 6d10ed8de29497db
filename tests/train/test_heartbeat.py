"""What a rank concludes from the signs of life of others; the threads and messages are tested in tests/mpi."""

import pytest

from hpcdl.train.heartbeat import BEAT_S, ENDED, LATE_S, SILENT_S, WAITING_FOR_ALL, Sign, Watch


def sign(rank, doing=WAITING_FOR_ALL, for_s=0.0, step=7):
    return Sign(rank, f"node{rank}", step, doing, for_s)


@pytest.fixture
def watch():
    return Watch({0: "node0", 1: "node1", 2: "node2"})


def live(watch, start, stop, *ranks):
    """Let time pass from start to stop, with signs of these ranks; return what is concluded at the end."""
    now = start
    while now <= stop:
        for rank in ranks:
            watch.hear(sign(rank), now)
        told = watch.silent(now)
        if told:
            return told, now
        now += BEAT_S
    return None, now


def test_a_silent_rank_is_named_with_its_host_and_its_last_word(watch):
    assert live(watch, 0, 100, 0, 1, 2)[0] is None
    told, when = live(watch, 100 + BEAT_S, 300, 0, 2)
    assert told == "rank 1 on node1 has not answered for 30 s. Its last word: training in step 7."
    assert SILENT_S < when - 100 <= SILENT_S + 2 * BEAT_S


def test_one_that_never_said_a_word_is_named_too(watch):
    told, when = live(watch, 0, 300, 0)
    assert told == "rank 1 on node1 and 1 more ranks have not answered for 30 s."
    assert when <= SILENT_S + 2 * BEAT_S


def test_after_a_suspension_of_the_whole_job_nobody_is_blamed(watch):
    live(watch, 0, 10, 0, 1, 2)
    assert watch.silent(5000) is None
    assert live(watch, 5000, 5000 + SILENT_S / 2, 0)[0] is None
    assert live(watch, 5000 + SILENT_S / 2 + BEAT_S, 5000 + 2 * SILENT_S, 0)[0] is not None


def test_one_that_has_said_that_it_is_done_may_be_silent(watch):
    live(watch, 0, 10, 0, 1, 2)
    watch.hear(sign(1, ENDED), 11)
    assert live(watch, 12, 200, 0, 2)[0] is None


def test_the_rank_that_the_others_wait_for_is_named_once_for_a_step(watch):
    for rank in (0, 2):
        watch.hear(sign(rank, for_s=LATE_S + 1), 0)
    watch.hear(sign(1, "reading its inputs", LATE_S + 5), 0)
    assert watch.late() == "rank 1 on node1 has been reading its inputs for step 7 for 35 s; the others wait."
    assert watch.late() is None
    watch.hear(sign(1, "reading its inputs", LATE_S + 5, step=8), 0)
    assert watch.late() is not None


@pytest.mark.parametrize(
    "signs",
    [
        [sign(0, for_s=99), sign(1, for_s=99), sign(2, for_s=99)],  # a long block: all compute
        [sign(0, for_s=99), sign(1, "reading its inputs", 5), sign(2, for_s=99)],
        [sign(0, for_s=99), sign(1, "reading its inputs", 99)],  # of rank 2 nothing is known
        [sign(0, for_s=1), sign(1, "reading its inputs", 99), sign(2, for_s=1)],
    ],
)
def test_nobody_is_named_without_reason(watch, signs):
    for each in signs:
        watch.hear(each, 0)
    assert watch.late() is None

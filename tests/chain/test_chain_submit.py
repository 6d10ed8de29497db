"""A chain into the queue: every stage once, in order, with its dependency. Slurm's programs are small stand-ins."""

import re
import shutil
from pathlib import Path

import pytest
from chains import INFER, TRAIN, chain_file, stage
from test_submit import exits, hpcdl, put

NUMBERED = """case "$*" in
    --version) echo slurm 22.05.8;;
    --test-only*) [[ ! -e {0}/untested || $* != *"$(<{0}/untested)"* ]] || {{ echo too large >&2; exit 1; }};;
    *) [[ ! -e {0}/refused || $* != *"$(<{0}/refused)"* ]] || {{ echo no such account >&2; exit 1; }}
       read -r number <{0}/number; echo $((number + 1)) | while read -r n; do echo $n >{0}/number; echo $n; done;;
esac"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a chain, and an sbatch that counts from 41."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "number").write_text("40\n")
    put(tmp_path, "sbatch", NUMBERED.format(tmp_path))
    last = stage("last", after={"train": "all", "fetch": "ended"})
    chain_file(tmp_path, last, INFER, stage("fetch"), TRAIN)
    return tmp_path


def start(here: Path, *words: str) -> list[str]:
    """Start the chain, or go on with it, and return what was given to sbatch: stage and options."""
    (here / "sbatch.calls").unlink(missing_ok=True)
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return given(here)


def given(here: Path) -> list[str]:
    file = here / "sbatch.calls"
    calls = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [" ".join([Path(words[-1]).parent.name, *words[1:-1]]) for words in calls if words[0] == "--parsable"]


def folder(here: Path, runs: str = "runs") -> Path:
    (found,) = (here / runs).glob("some-*")
    return found


WHOLE = [
    "fetch",
    "train",
    "last --dependency=afterok:42_0,afterok:42_1,afterok:42_2,afterany:41 --kill-on-invalid-dep=yes",
    "infer --dependency=after:42_0?after:42_1?after:42_2 --kill-on-invalid-dep=yes",
    "ranking --dependency=afterany:43,afterany:44,afterany:41,afterany:42_0,afterany:42_1,afterany:42_2 "
    "--kill-on-invalid-dep=yes",
]


def test_every_stage_is_submitted_once_with_what_it_waits_for(here):
    assert start(here) == WHOLE
    script = (folder(here) / "infer" / "job.sbatch").read_text()
    assert re.search(r"hpcdl chain \S+/runs/some-\S+ --take infer -- srun .* test '\{model\}' '\{results\}'", script)
    assert f"local file={folder(here)}/queue/train/$point\n" in (folder(here) / "train" / "job.sbatch").read_text()
    assert "enqueue" not in (folder(here) / "fetch" / "job.sbatch").read_text()
    assert start(here) == [], "the same command again"
    assert [line.split()[0] for line in start(here, "--new")] == [line.split()[0] for line in WHOLE]


def test_a_changed_chain_is_another_one(here):
    start(here)
    (here / "chain.yaml").write_text((here / "chain.yaml").read_text().replace("accuracy", "loss"))
    assert len(start(here)) == 5


def test_one_stage_that_is_no_good_keeps_all_from_the_queue(here):
    (here / "untested").write_text("/infer/")
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert done.returncode == 1
    assert "infer: not submitted, nor any other stage" in done.stderr
    assert given(here) == []
    assert not list((here / "runs").glob("some*"))


def test_a_refusal_in_the_middle_leaves_the_rest_to_the_next_call(here):
    (here / "refused").write_text("/last/")
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert done.returncode == 1
    assert "stage last: sbatch refused the job: no such account" in done.stderr
    assert "the same command goes on with the rest" in done.stderr
    assert {path.name for path in folder(here).iterdir()} == {"chain.json", "fetch", "train"}
    (here / "refused").unlink()
    assert start(here) == WHOLE[2:]


def test_what_has_ended_is_no_dependency_any_more(here):
    """Slurm may have forgotten it, and would take every condition as met."""
    start(here)
    for index, code in enumerate([0, 0, 3]):
        exits(folder(here) / "train" / str(index), f"42_{index}", code, "failed" if code else "finished")
    for name in ("last", "infer", "ranking"):
        shutil.rmtree(folder(here) / name)
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert "last: not submitted, as what it waits for can never be" in done.stdout
    assert not (folder(here) / "last").exists()
    infer, ranking = given(here)[-2:]
    assert infer == "infer", "its trainings have begun"
    assert ranking == "ranking --dependency=afterany:46,afterany:41 --kill-on-invalid-dep=yes"


def test_a_stage_that_was_only_prepared_is_made_anew(here):
    start(here)
    (folder(here) / "infer" / "submissions.json").unlink()
    assert start(here) == [WHOLE[3]]
    assert "infer" in given(here)[0]


def test_a_submission_without_an_answer_is_not_repeated_before_slurm_can_tell(here):
    start(here)
    submissions = folder(here) / "infer" / "submissions.json"
    submissions.write_text(re.sub(r'"job_id": "\d+"', '"job_id": null', submissions.read_text()))
    (here / "sbatch.calls").unlink()
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert done.returncode == 1
    assert "Try again in five minutes" in done.stderr
    assert not (here / "sbatch.calls").exists()
    found = f"echo '77|{folder(here)}/infer/job.sbatch'"
    put(here, "squeue", f'case "$*" in *%i\\|%o*) {found};; esac')
    done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert "infer: job 77, submitted before" in done.stdout


def test_two_commands_at_once_do_not_submit_twice(here):
    from hpcdl.chain.folder import alone

    with alone(here / "runs"):
        done = hpcdl(here, "chain", "chain.yaml", "--site", "generic")
    assert done.returncode == 1
    assert "another `hpcdl chain` is at work" in done.stderr
    assert not (here / "sbatch.calls").exists()

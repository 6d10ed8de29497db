"""What a job file may say of its network, and how it is written down again."""

import pytest

from hpcdl.errors import JobFileError
from hpcdl.job import load_job
from hpcdl.run.folder import JOB_FILE, make_run_folder
from hpcdl.slurm.preflight.network import check_network

JOB = """
name: one
resources: {{time: "00:10:00"}}
train: {{data: digits, epochs: 1, batch_size: 4, model: {model}}}
"""


def load(folder, model):
    (folder / "job.yaml").write_text(JOB.format(model=model))
    return load_job(folder / "job.yaml")


@pytest.mark.parametrize(
    ("model", "name", "arguments", "text"),
    [
        ("mlp", "mlp", {}, "mlp"),
        ("{name: mlp}", "mlp", {}, "mlp"),
        ("{name: mlp, hidden: 7, dropout: 0}", "mlp", {"hidden": 7, "dropout": 0}, "mlp(hidden=7, dropout=0)"),
        ("my.nets:small", "my.nets:small", {}, "my.nets:small"),
        ("{name: 'my.nets:small', weights: null}", "my.nets:small", {"weights": None}, "my.nets:small(weights=None)"),
    ],
)
def test_a_network_survives_being_written_into_the_runs_folder(tmp_path, model, name, arguments, text):
    job = load(tmp_path, model)
    network = job.training.model
    assert (network.name, network.arguments, str(network)) == (name, arguments, text)
    folder, _ = make_run_folder(tmp_path / "runs", job)
    again = load_job(folder / JOB_FILE)
    assert again.training.model == network
    assert again.digest == job.digest


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("mpl", "'mpl' is no model. Did you mean 'mlp'?"),
        ("{name: mlp, hiden: 7}", "mlp has no argument 'hiden'. Did you mean 'hidden'?"),
        ("{name: mlp, hidden: '7'}", "mlp cannot have hidden '7'; it must be a valid integer."),
        ("{hidden: 7}", "missing. Add it."),
        ("7", "7 is no model; write its name, or {name: ..., and its arguments}."),
        ("null", "None is no model; write its name, or {name: ..., and its arguments}."),
        ("my-nets:small", "'my-nets:small' is no place of a function; write package.module:function."),
        ("'my.nets:'", "'my.nets:' is no place of a function; write package.module:function."),
    ],
)
def test_a_wrong_network_is_refused_where_the_file_is_read(tmp_path, model, text):
    with pytest.raises(JobFileError) as raised:
        load(tmp_path, model)
    assert str(raised.value).startswith(f"{tmp_path}/job.yaml:4: train.model")
    assert str(raised.value).endswith(text)


def test_the_preflight_looks_for_an_own_module_as_a_rank_does(tmp_path, monkeypatch):
    (tmp_path / "beside").mkdir()
    (tmp_path / "work" / "package").mkdir(parents=True)
    (tmp_path / "beside" / "nets_beside.py").write_text("raise SystemExit('imported')")
    (tmp_path / "work" / "package" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path / "work")
    job_file = tmp_path / "beside" / "job.yaml"

    def found(model):
        return [(problem.what, problem.stops) for problem in check_network(load(tmp_path / "beside", model), job_file)]

    for model in ("mlp", "nets_beside:net", "package.nets:net", "keras_or_any.nets:net"):
        expected = model == "keras_or_any.nets:net"
        assert bool(found(model)) is expected, model
    assert found("nets_besides:net") == [
        (
            f"train.model: there is no module nets_besides in {tmp_path}/work or {tmp_path}/beside, "
            "nor among the packages of this Python",
            False,
        )
    ]
    assert found("json:loads") == []

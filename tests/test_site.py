"""Site profiles: the ones that come with hpcdl, one's own, and what is wrong with a faulty one."""

import pytest

from hpcdl.errors import SiteError
from hpcdl.site import Site, detect, load_site, site_files


@pytest.mark.parametrize("name", site_files())
def test_every_profile_that_comes_with_hpcdl_is_valid(name):
    assert load_site(name).name == name


def test_one_s_own_profile_comes_first_and_adds_to_ours(tmp_path):
    (tmp_path / "jureca.yaml").write_text("name: jureca\ntitle: mine\nscheduler: slurm\n")
    (tmp_path / "cellar.yaml").write_text("name: cellar\ntitle: the cellar\nscheduler: none\n")
    assert load_site("jureca", tmp_path).title == "mine"
    assert load_site("cellar", tmp_path).title == "the cellar"
    assert load_site("local", tmp_path).scheduler == "none"


def test_a_profile_can_be_named_by_its_path(tmp_path):
    path = tmp_path / "attic.yaml"
    path.write_text("name: attic\ntitle: the attic\nscheduler: slurm\n")
    assert load_site(str(path)).name == "attic"


def test_an_unknown_site_gets_the_nearest_name_and_the_list():
    with pytest.raises(SiteError, match=r"no site 'jurca'\. Did you mean 'jureca'\? There are .*generic, .*local"):
        load_site("jurca")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title: x\nscheduler: slurm\n", r"name: missing"),
        ("name: other\ntitle: x\nscheduler: slurm\n", r"write `name: test`"),
        ("name: test\ntitle: x\nscheduler: slrum\n", r":3: scheduler: 'slrum' is not allowed.* Did you mean 'slurm'\?"),
        ("name: test\ntitle: x\nscheduler: slurm\ngpus: {}\n", r":4: gpus: unknown key\. Did you mean 'gpu'\?"),
        (
            "name: test\ntitle: x\nscheduler: slurm\npartitions:\n  a: {kind: gpu, max_nodes: 4}\n",
            r":5: partitions\.a: max_nodes: a limit needs its `source` and `as_of`",
        ),
        (
            "name: test\ntitle: x\nscheduler: slurm\npartitions:\n  a: {kind: gpu, max_time: '24:00'}\n",
            r":5: partitions\.a\.max_time: '24:00' is no time limit",
        ),
        ("name: test\ntitle: x\nscheduler: slurm\noptions: {--qos: a}\n", r":4: options\.--qos: no option of sbatch"),
        ("name: test\ntitle: x\nscheduler: slurm\noptions: {qos: ''}\n", r":4: options\.qos: an option needs a value"),
        ("name: test\ntitle: x\nscheduler: slurm\nenv: {'A B': c}\n", r":4: env\.A B: 'A B' is not allowed"),
        ('name: test\ntitle: x\nscheduler: slurm\nshell: "/bin/sh\\nrm -r x"\n', r":4: shell: .* must match pattern"),
    ],
)
def test_a_faulty_profile_is_one_sentence_with_file_line_and_key(text, sentence, tmp_path):
    (tmp_path / "test.yaml").write_text(text)
    with pytest.raises(SiteError, match=sentence) as caught:
        load_site("test", tmp_path)
    assert str(tmp_path / "test.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_host_name_can_be_a_sign():
    signs = {"hostnames": ["*.frontier.example"]}
    sites = [site("a", {}), site("b", signs), site("c", signs)]
    assert detect(sites, {}, "login1.frontier.example") == sites[1]
    assert detect(sites, {}, "login1.elsewhere.example") is None


def test_the_machines_in_juelich_are_known_by_their_system_name(tmp_path):
    """Their host names look alike; the file says which machine it is."""
    signs = {name: load_site(name).signs.files for name in ("jureca-dc", "juwels-booster", "jusuf", "jupiter")}
    assert {next(iter(files)) for files in signs.values()} == {"/etc/FZJ/systemname"}
    assert len({next(iter(files.values())) for files in signs.values()}) == 4


def site(name: str, signs: dict) -> Site:
    return Site.model_validate({"name": name, "title": name, "scheduler": "none", "signs": signs})

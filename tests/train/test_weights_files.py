"""Files of weights are found where a job names them, and downloaded only when they are the right ones."""

import hashlib
import http.server
import os
import sys
import threading
from functools import partial

import pytest

from hpcdl.cli import main
from hpcdl.errors import DataError
from hpcdl.train.data.weights import fetch_weights, find_weights

CONTENT = b"\x89HDF weights" * 1000
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("HPCDL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def server(place):
    """A server with one right file; the list of what was asked of it."""
    (place / "served").mkdir()
    (place / "served" / "net notop.h5").write_bytes(CONTENT)
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            requests.append(self.path)

    handler = partial(Handler, directory=str(place / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", requests
        running.shutdown()


@pytest.mark.parametrize("checksum", [MD5, SHA256, SHA256.upper()])
def test_a_file_of_weights_is_fetched_once_and_found_by_its_name(server, place, checksum):
    address, requests = server
    path = fetch_weights(f"{address}/net%20notop.h5?download=1", checksum)
    assert path == place / "data" / "weights" / "net notop.h5"
    assert path.read_bytes() == CONTENT
    assert find_weights("net notop.h5") == path
    requests.clear()
    assert fetch_weights(f"{address}/net%20notop.h5", checksum) == path
    assert requests == [], "what is here and right is not downloaded again"
    path.write_bytes(CONTENT[:-1])
    fetch_weights(f"{address}/net%20notop.h5", checksum)
    assert path.read_bytes() == CONTENT, "a cut file is replaced"


def test_without_hpcdl_data_it_goes_to_the_cache(server, place, monkeypatch):
    monkeypatch.delenv("HPCDL_DATA")
    path = fetch_weights(f"{server[0]}/net%20notop.h5", MD5)
    assert path == place / "cache" / "hpcdl" / "weights" / "net notop.h5"
    assert find_weights("net notop.h5") == path


@pytest.mark.parametrize(
    ("name", "checksum", "sentence"),
    [
        ("net%20notop.h5", "0" * 32, f"the file has MD5 {MD5}, not 000"),
        ("net%20notop.h5", "1" * 64, f"the file has SHA256 {SHA256}, not 111"),
        ("none.h5", MD5, "none.h5: File not found"),
        ("net%20notop.h5", "md5", "give the 32 hexadecimal digits of an MD5 or the 64 of a SHA-256"),
        ("net%20notop.h5", "g" * 32, "give the 32 hexadecimal digits"),
        ("", MD5, "ends in no file's name"),
        ("..%2F..%2Fup.h5", MD5, "ends in no file's name|File not found"),
    ],
)
def test_a_wrong_file_leaves_nothing(server, place, name, checksum, sentence):
    with pytest.raises(DataError, match=sentence):
        fetch_weights(f"{server[0]}/{name}", checksum)
    assert not list(place.glob("data/**/*.h5"))
    assert not list(place.glob("*.h5"))


def test_the_command_wants_a_checksum_for_weights_and_for_nothing_else(server, capsys, monkeypatch):
    for arguments, sentence in (
        ([f"{server[0]}/net%20notop.h5"], "say by --checksum which MD5 or SHA-256"),
        (["mnist", "--checksum", MD5], "--checksum is for a file of weights"),
    ):
        monkeypatch.setattr(sys, "argv", ["hpcdl", "fetch", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        assert sentence in capsys.readouterr().err


def test_a_name_is_looked_for_in_the_data_the_working_folder_and_the_cache(place):
    for folder in ("cache/hpcdl/weights", "here", "data", "data/weights"):
        (place / folder).mkdir(parents=True, exist_ok=True)
        (place / folder / "w.h5").write_text("")
        assert find_weights("w.h5") == place / folder / "w.h5"
    assert find_weights(str(place / "here" / "w.h5")) == place / "here" / "w.h5"
    with pytest.raises(DataError, match=r"train.transfer.weights: v.h5: no such file or folder \(looked in .*here"):
        find_weights("v.h5")


def test_of_many_runs_the_newest_that_has_finished_is_taken(place):
    for age, name in enumerate(["a-1", "a-2", "a-3", "b-4"]):
        (place / "here" / "runs" / name).mkdir(parents=True)
        if name != "a-3":
            model = place / "here" / "runs" / name / "model.keras"
            model.write_text("")
            os.utime(model, (age + 1, age + 1))
    assert find_weights("runs/a-*") == place / "here" / "runs" / "a-2"
    assert find_weights(f"{place}/here/runs/*") == place / "here" / "runs" / "b-4"
    with pytest.raises(DataError, match=r"runs/c-\*: no finished run or file"):
        find_weights("runs/c-*")

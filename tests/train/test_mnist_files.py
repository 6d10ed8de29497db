"""MNIST's files: right ones are read, wrong ones are named with what was expected and found."""

import gzip
import hashlib
import http.server
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from hpcdl.errors import DataError
from hpcdl.train.data import load_dataset, prepare
from hpcdl.train.data.idx import FILES, MNIST

pytestmark = pytest.mark.data


@pytest.fixture
def folder(tmp_path, monkeypatch, mnist_folder) -> Path:
    """A copy of the real files that a test may spoil, found through HPCDL_DATA; no other copy is in reach."""
    copy = tmp_path / "data" / "mnist"
    copy.mkdir(parents=True)
    for name in FILES:
        shutil.copy(mnist_folder / f"{name}.gz", copy)
    monkeypatch.setenv("HPCDL_DATA", str(copy.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return copy


def unpack(folder: Path, name: str) -> Path:
    """Replace NAME.gz by NAME and return it."""
    packed = folder / f"{name}.gz"
    (folder / name).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    return folder / name


def test_packed_and_unpacked_files_give_the_published_images(folder):
    unpack(folder, "train-labels-idx1-ubyte")
    data = load_dataset("mnist")
    assert data.train_inputs.shape == (60000, 28, 28, 1)
    assert data.test_inputs.shape == (10000, 28, 28, 1)
    assert data.train_inputs.dtype == np.uint8
    assert data.num_classes == 10
    assert data.train_targets[:5].tolist() == [5, 0, 4, 1, 9]  # the first digits, known from every tutorial
    assert data.test_targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert round(float(data.train_inputs.mean() / 255), 4) == 0.1307  # the published mean of MNIST


@pytest.mark.parametrize(
    ("name", "spoil", "pattern"),
    [
        (
            "train-images-idx3-ubyte",
            lambda b: b[:-1000],
            r"holds 47039000 bytes of values, expected 47040000: it is cut",
        ),
        ("t10k-labels-idx1-ubyte", lambda b: b[:-1] + bytes([b[-1] ^ 1]), r"has altered values"),
        ("t10k-images-idx3-ubyte", lambda b: b"<html>not found</html>", r"is not an IDX file of bytes"),
        ("train-labels-idx1-ubyte", lambda b: b"", r"is not an IDX file of bytes"),
        (
            "train-labels-idx1-ubyte",
            lambda b: b[:4] + (59999).to_bytes(4, "big") + b[8:-1],
            r"holds an array of shape \(59999,\), expected \(60000,\)",
        ),
    ],
)
def test_a_wrong_file_is_named_with_what_was_found(folder, name, spoil, pattern):
    path = unpack(folder, name)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=pattern) as error:
        load_dataset("mnist")
    assert str(path) in str(error.value)
    assert MNIST.checksums[name] in str(error.value)


def test_a_cut_gzip_file_is_named(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: the gzip file is cut or corrupt"):
        load_dataset("mnist")


def test_swapped_files_are_named(folder):
    first, second = (unpack(folder, name) for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"))
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    with pytest.raises(DataError, match="holds the contents of t10k-labels-idx1-ubyte; two files are swapped"):
        load_dataset("mnist")


def test_one_missing_file_is_named(folder):
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\[\.gz\] is missing"):
        load_dataset("mnist")


def test_the_archive_that_keras_keeps_serves_too(folder, tmp_path):
    arrays = [MNIST.read(folder, name).copy() for name in FILES]
    shutil.rmtree(folder)
    archive = tmp_path / "keras" / "datasets" / "mnist.npz"
    archive.parent.mkdir(parents=True)
    np.savez(archive, x_train=arrays[0], y_train=arrays[1], x_test=arrays[2], y_test=arrays[3])
    assert load_dataset("mnist").train_targets[:5].tolist() == [5, 0, 4, 1, 9]

    arrays[2][0, 0, 0] ^= 1
    np.savez(archive, x_train=arrays[0], y_train=arrays[1], x_test=arrays[2], y_test=arrays[3])
    with pytest.raises(DataError, match=r"mnist\.npz: its t10k-images-idx3-ubyte differs from the published one"):
        load_dataset("mnist")


def test_absent_and_offline_says_where_and_what_to_do(folder):
    shutil.rmtree(folder)
    with pytest.raises(DataError) as error:
        MNIST.fetch(mirrors=("http://127.0.0.1:9/",))
    message = str(error.value)
    assert str(folder) in message
    assert "hpcdl fetch mnist" in message
    assert "--set train.data=digits" in message
    assert not folder.exists(), "nothing is left behind"


@pytest.fixture
def mirror(mnist_folder, tmp_path):
    """A mirror on this machine: `/good/` has the real files, `/bad/` other bytes under their names; counts requests."""
    root = tmp_path / "mirror"
    (root / "bad").mkdir(parents=True)
    (root / "good").symlink_to(mnist_folder)
    for name in FILES:
        (root / "bad" / f"{name}.gz").write_bytes(gzip.compress(b"another file"))
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(root))

        def log_message(self, *arguments):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", requests
    server.shutdown()
    server.server_close()


def test_a_download_is_checked_and_the_next_mirror_asked(folder, mirror):
    address, requests = mirror
    shutil.rmtree(folder)
    assert MNIST.fetch(mirrors=(f"{address}bad/", f"{address}none/", f"{address}good/")) == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in FILES)
    for name, md5 in MNIST.checksums.items():
        assert hashlib.md5(gzip.decompress((folder / f"{name}.gz").read_bytes())).hexdigest() == md5
    requests.clear()
    prepare("mnist")
    assert requests == [], "what is here is not downloaded again"


def test_a_mirror_with_other_bytes_leaves_nothing(folder, mirror):
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"bad/\S+: the file has MD5 \w+, not 6bbc9ace898e44ae57da46a324031adb"):
        MNIST.fetch(mirrors=(f"{mirror[0]}bad/",))
    assert not folder.exists()

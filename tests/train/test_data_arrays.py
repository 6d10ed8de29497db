"""Data sets that are arrays: CIFAR-10 in its forms, .npz archives, synthetic ones, Fashion-MNIST, a user's own."""

import hashlib
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.job import load_job
from hpcdl.train.data import cifar10, is_here, load_dataset
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.idx import FASHION_MNIST, FILES


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder in which data sets are looked for, with nothing in it; no other is in reach."""
    monkeypatch.setenv("HPCDL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


ROWS = 20
BATCH = np.random.default_rng(1).integers(0, 256, (ROWS, 3073), np.uint8)
BATCH[:, 0] %= 10
RED_OF_7 = BATCH[7, 1:1025].reshape(32, 32)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(cifar10, "BATCH_IMAGES", ROWS)


def binary(folder: Path) -> None:
    (folder / "cifar-10-batches-bin").mkdir()
    for name in cifar10.BINARY_BATCHES:
        (folder / "cifar-10-batches-bin" / name).write_bytes(BATCH.tobytes())


def python(folder: Path, monkeypatch, content: bytes | None = None) -> None:
    content = content or pickle_of_python_2(BATCH[:, 1:].tobytes(), BATCH[:, 0].tolist())
    (folder / "cifar-10-batches-py").mkdir()
    monkeypatch.setattr(cifar10, "BATCH_MD5", {name: hashlib.md5(content).hexdigest() for name in cifar10.BATCH_MD5})
    for name in cifar10.BATCH_MD5:
        (folder / "cifar-10-batches-py" / name).write_bytes(content)


def pickle_of_python_2(values: bytes, labels: list[int]) -> bytes:
    """A dictionary as cPickle of Python 2 and NumPy 1 wrote it into the published files: data and labels."""
    size = struct.pack("<iBi", ROWS, ord("J"), 3072)
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01J" + size + b"\x86" + dtype + b"\x89T" + struct.pack("<i", len(values)) + values + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


@pytest.mark.parametrize("form", ["binary", "python", "tar of binary", "tar of python"])
def test_cifar_10_batches_are_read_in_every_form(folder, small_batches, monkeypatch, form):
    """Made in the format of the published files, which are not on every machine."""
    place = folder / "cifar10"
    place.mkdir()
    binary(place) if "binary" in form else python(place, monkeypatch)
    if "tar" in form:
        (made,) = place.iterdir()
        with tarfile.open(place / "any.tar.gz", "w:gz", compresslevel=1) as archive:
            archive.add(made, made.name)
        made.rename(folder / "elsewhere")
    data = load_dataset("cifar10")
    assert data.train_inputs.shape == (5 * ROWS, 32, 32, 3)
    assert data.test_inputs.shape == (ROWS, 32, 32, 3)
    np.testing.assert_array_equal(data.train_inputs[ROWS + 7, :, :, 0], RED_OF_7)
    np.testing.assert_array_equal(data.train_targets[:ROWS], BATCH[:, 0])


@pytest.mark.data
@pytest.mark.slow
def test_the_real_cifar_10_from_its_archive_of_folders(mnist_folder):
    data = load_dataset("cifar10")
    assert data.train_inputs.shape == (50_000, 32, 32, 3)
    assert np.bincount(data.train_targets).tolist() == [5000] * 10
    assert np.bincount(data.test_targets).tolist() == [1000] * 10
    np.testing.assert_allclose(data.train_inputs.mean(axis=(0, 1, 2)), [125.3, 122.95, 113.9], atol=0.2)  # as published


class Evil:
    def __reduce__(self):
        return (open, ("/tmp/hpcdl-was-here", "w"))


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(folder, monkeypatch):
    (folder / "cifar10").mkdir()
    python(folder / "cifar10", monkeypatch, pickle.dumps({b"data": Evil(), b"labels": []}, protocol=4))
    with pytest.raises(DataError, match=r"data_batch_1: is no batch of CIFAR-10 \(it asks for \w+\.open\)"):
        load_dataset("cifar10")
    assert not Path("/tmp/hpcdl-was-here").exists()


@pytest.mark.parametrize(
    ("spoil", "pattern"),
    [
        (lambda place: (place / "data_batch_3.bin").unlink(), r"has no data_batch_3\. It must hold"),
        (lambda place: (place / "data_batch_3.bin").write_bytes(b"x"), r"holds 1 bytes, expected 61460: it is cut"),
        (
            lambda place: (place / "test_batch.bin").write_bytes(b"\xff" * 61_460),
            r"test targets are int64 .* with values 255\.\.255; classes must be .* 0\.\.9",
        ),
    ],
)
def test_wrong_cifar_10_batches_are_named(folder, small_batches, spoil, pattern):
    (folder / "cifar10").mkdir()
    binary(folder / "cifar10")
    spoil(folder / "cifar10" / "cifar-10-batches-bin")
    with pytest.raises(DataError, match=pattern):
        load_dataset("cifar10")


def test_a_cut_or_altered_archive_of_cifar_10_is_named(folder):
    (folder / "cifar10").mkdir()
    (folder / "cifar10" / cifar10.ARCHIVE).write_bytes(b"\x1f\x8bcut")
    with pytest.raises(DataError, match=r"python\.tar\.gz: the file has MD5 \w+, not c58f30108f718f92721af3b95e74349a"):
        load_dataset("cifar10")
    (folder / "cifar10" / cifar10.ARCHIVE).rename(folder / "cifar10" / "other.tar.gz")
    with pytest.raises(DataError, match=r"other\.tar\.gz: cannot be read, it is cut or corrupt"):
        load_dataset("cifar10")


def test_images_of_another_size_are_no_cifar_10(folder):
    for part in ("train", "test"):
        (folder / "cifar10" / part / "cat").mkdir(parents=True)
        Image.new("RGB", (31, 32)).save(folder / "cifar10" / part / "cat" / "1.png")
    with pytest.raises(DataError, match=r"train/cat/1\.png is not of 32x32 pixels"):
        load_dataset("cifar10")


def test_absent_cifar_10_says_how_to_get_it(folder):
    assert not is_here("cifar10")
    with pytest.raises(DataError, match=r"CIFAR-10 is not here: looked in .*cifar10.*hpcdl fetch cifar10"):
        load_dataset("cifar10")
    with pytest.raises(DataError, match=r"could not be downloaded \(http://127.0.0.1:9/"):
        cifar10.fetch_cifar10(("http://127.0.0.1:9/",))


def fashion(folder: Path) -> None:
    """Files in the published format; the real ones are not on every machine."""
    (folder / "fashion_mnist").mkdir()
    for name in FILES:
        count = 60_000 if name.startswith("train") else 10_000
        shape = (count, 28, 28) if "images" in name else (count,)
        values = np.arange(int(np.prod(shape)), dtype=np.uint64) % (251 if "images" in name else 10)
        head = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
        (folder / "fashion_mnist" / name).write_bytes(head + values.astype(np.uint8).tobytes())


def test_unpacked_fashion_mnist_is_read_and_checked_by_its_form(folder):
    fashion(folder)
    data = load_dataset("fashion_mnist")
    assert data.train_inputs.shape == (60_000, 28, 28, 1)
    assert data.class_names[9] == "Ankle boot"
    assert data.test_targets[:3].tolist() == [0, 1, 2]
    path = folder / "fashion_mnist" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: holds the label 10, expected 0\.\.9"):
        load_dataset("fashion_mnist")


def test_packed_fashion_mnist_must_be_the_published_one(folder):
    fashion(folder)
    import gzip

    path = folder / "fashion_mnist" / "train-labels-idx1-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    expected = FASHION_MNIST.checksums["train-labels-idx1-ubyte.gz"]
    with pytest.raises(DataError, match=rf"has altered values \(MD5 \w+, expected {expected}\)"):
        load_dataset("fashion_mnist")


ECG = {
    "x_train": np.random.default_rng(0).standard_normal((12, 50)),
    "y_train": np.arange(12) % 3,
    "x_test": np.ones((4, 50)),
    "y_test": np.array([0, 1, 2, 0]),
}


def archive(folder: Path, **arrays) -> Data:
    np.savez(folder / "ecg.npz", **arrays)
    return Data(name="npz", path="ecg.npz")


def test_signals_of_an_npz_archive(folder):
    data = load_dataset(archive(folder, **ECG, class_names=["N", "AF", "O"]))
    assert (data.name, data.num_classes, data.class_names) == ("ecg", 3, ("N", "AF", "O"))
    assert data.train_inputs.shape == (12, 50, 1)
    assert data.train_inputs.dtype == np.float32
    np.testing.assert_allclose(data.train_inputs[..., 0], ECG["x_train"], rtol=1e-6)


def test_a_regression_of_an_npz_archive_has_names(folder):
    camera = {"y_train": np.zeros((12, 3)), "y_test": np.ones((4, 3))}
    data = load_dataset(archive(folder, **{**ECG, **camera}, target_names=["x", "y", "zoom"]))
    assert data.num_classes is None
    assert data.target_names == ("x", "y", "zoom")
    assert data.test_targets.dtype == np.float32
    named = load_dataset(archive(folder, **{**ECG, **camera}).model_copy(update={"targets": ["a", "b", "c"]}))
    assert named.target_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"y_test": np.array([0, 1, 2])}, r"ecg: 4 test inputs with 3 targets"),
        ({"x_test": np.ones((4, 49))}, r"test inputs have shape \(4, 49, 1\), but train inputs \(12, 50, 1\)"),
        ({"y_train": np.arange(12) - 1}, r"train targets are int64 .* with values -1\.\.10"),
        ({"x_train": np.array([{}] * 12)}, r"is no whole \.npz archive of plain arrays"),
        ({"x_train": ECG["x_train"] > 0}, r"train inputs are bool of shape \(12, 50\)"),
        (
            {"y_train": np.full(12, np.nan), "y_test": np.zeros(4)},
            r"train targets hold a value that is not finite",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder, change, pattern):
    with pytest.raises(DataError, match=pattern):
        load_dataset(archive(folder, **{**ECG, **change}))


def test_a_torn_or_foreign_npz_is_refused(folder):
    data = archive(folder, **ECG)
    path = folder / "ecg.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"ecg\.npz: is no whole \.npz archive"):
        load_dataset(data)
    np.savez(path, signals=np.ones(3))
    with pytest.raises(DataError, match=r"has no array x_train; it holds signals\. It needs x_train, y_train"):
        load_dataset(data)


@pytest.mark.parametrize("shape", [[8, 9, 3], [40, 2]])
def test_synthetic_data_are_the_same_for_a_seed_and_of_any_shape(shape):
    chosen = Data(name="synthetic", shape=shape, num_classes=4, num_train=30, num_test=7, seed=3)
    data = load_dataset(chosen)
    assert data.train_inputs.shape == (30, *shape)
    assert data.test_targets.shape == (7,)
    assert data.num_classes == 4
    assert data.digest == load_dataset(chosen).digest
    assert data.digest != load_dataset(chosen.model_copy(update={"seed": 4})).digest


def test_a_synthetic_regression_can_be_learnt():
    data = load_dataset(Data(name="synthetic", shape=[6, 2], targets=["x", "y"], num_train=200, num_test=50))
    columns = [np.c_[part.reshape(len(part), -1), np.ones(len(part))] for part in (data.train_inputs, data.test_inputs)]
    weights, *_ = np.linalg.lstsq(columns[0], data.train_targets, rcond=None)
    np.testing.assert_allclose(columns[1] @ weights, data.test_targets, atol=1e-4)


OWN = """
import numpy as np
from hpcdl.train.data import Dataset

def make(rows=3):
    signals, classes = np.ones((rows, 5, 1), np.float32), np.zeros(rows, np.int64)
    return Dataset("mine", signals, classes, signals, classes, 2)

def wrong():
    return 1

def unfit():
    signals = np.ones((3, 5, 1))
    return Dataset("mine", signals, np.zeros(3, np.int64), signals, np.zeros(3, np.int64), 2)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_own_data.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)


def test_a_function_of_the_users_gives_the_data(own, tmp_path):
    (tmp_path / "job.yaml").write_text(
        'name: own\nresources: {time: "00:10:00"}\n'
        "train: {model: mnist_cnn, data: {name: my_own_data:make, arguments: {rows: 4}}, epochs: 1, batch_size: 1}\n"
    )
    job = load_job(tmp_path / "job.yaml")
    assert job.log_prefix == "make"
    assert len(load_dataset(job.training.data).train_inputs) == 4
    assert isinstance(load_dataset("my_own_data:make"), Dataset)


@pytest.mark.parametrize(
    ("data", "pattern"),
    [
        (Data(name="my_own_data:wrong"), r"returned a int, not a hpcdl\.train\.data\.Dataset"),
        (Data(name="my_own_data:unfit"), r"mine: its train inputs are float64 of shape \(3, 5, 1\); they must be"),
        (Data(name="my_own_data:make", path="x"), r"train\.data\.path: a function of your own takes .*arguments"),
    ],
)
def test_a_function_that_does_not_is_named(own, data, pattern):
    with pytest.raises(DataError, match=pattern):
        load_dataset(data)


def test_the_job_file_keeps_a_name_alone_as_it_is_written():
    assert Data.model_validate("mnist").model_dump() == "mnist"
    assert Data.model_validate({"name": "npz", "path": "x"}).model_dump(mode="json") == {"name": "npz", "path": "x"}

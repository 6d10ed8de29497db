"""Images in class folders and in TFRecord shards: what is read, what is refused, and what a kill leaves behind."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.data import Data
from hpcdl.errors import DataError
from hpcdl.train.data import convert as converting
from hpcdl.train.data import load_dataset
from hpcdl.train.data.convert import convert
from hpcdl.train.data.images import decode
from hpcdl.train.data.tfrecord import INDEX_FILE, index_folder, scan_shard

CLASSES = ("cat", "dog", "owl")


def gradient(width: int, height: int, red: int) -> np.ndarray:
    """A picture whose every part can be told from the others."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = red
    pixels[..., 1] = np.linspace(0, 255, width)[None, :]
    pixels[..., 2] = np.linspace(0, 255, height)[:, None]
    return pixels


def encoded(pixels: np.ndarray, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=95)
    return buffer.getvalue()


@pytest.fixture
def folders(tmp_path) -> Path:
    """Seven images of each of three classes to train on, two to test, as PNG and JPEG."""
    root = tmp_path / "animals"
    for split, count in (("train", 7), ("val", 2)):
        for label, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = gradient(24 + number, 20, 80 * label + 10 * number)
                form = "png" if number % 2 else "jpeg"
                (root / split / name / f"{number}.{form}").write_bytes(encoded(pixels, form))
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    return root


def chosen(path: Path, name: str = "folders", **options) -> Data:
    return Data(name=name, path=str(path), **{"image_size": 16, **options})


def test_class_folders_are_read_in_a_fixed_mixture_of_the_classes(folders):
    data = load_dataset(chosen(folders))
    assert data.class_names == CLASSES
    assert data.train_inputs.shape == (21, 16, 16, 3)
    assert sorted(data.train_targets) == [0] * 7 + [1] * 7 + [2] * 7
    assert set(data.train_targets[-7:]) == {0, 1, 2}, "a validation_split has all classes"
    assert sorted(data.test_targets) == [0, 0, 1, 1, 2, 2]
    again = load_dataset(chosen(folders))
    np.testing.assert_array_equal(again.train_targets, data.train_targets)
    red = data.train_inputs[np.array([8, 1])][:, 8, 8, 0]  # two rows, in this order: 80 * label + 10 * number
    np.testing.assert_array_equal(red // 80, data.train_targets[[8, 1]])


@pytest.mark.parametrize("form", ["png", "jpeg"])
@pytest.mark.parametrize(("size", "resize"), [(16, None), (16, 20), (64, 64)])
def test_the_middle_of_an_image_is_cut_out_in_the_asked_size(form, size, resize):
    pixels = gradient(300, 100, 200)
    image = decode(encoded(pixels, form), "x", size, resize).astype(int)
    assert image.shape == (size, size, 3)
    share = size / (resize or size)  # of the shorter side that the square shows
    assert abs(image[..., 0] - 200).max() <= 6
    np.testing.assert_allclose(image[size // 2, [0, -1], 1], 127.5 + np.array([-1, 1]) * 127.5 / 3 * share, atol=8)
    np.testing.assert_allclose(image[[0, -1], size // 2, 2], 127.5 + np.array([-1, 1]) * 127.5 * share, atol=14)


def test_grey_is_one_channel():
    assert decode(encoded(gradient(20, 20, 9), "png"), "x", 8, channels=1).shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("spoil", "pattern"),
    [
        (lambda path: path.write_bytes(b"no image"), r"dog/0\.jpeg: is no whole image"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), r"(?i)dog/0\.jpeg: is no whole image \(.*truncated"),
        (lambda path: path.unlink(), r"dog/0\.jpeg: cannot be read \(No such file"),
    ],
)
def test_a_corrupt_image_is_named_when_it_is_read(folders, spoil, pattern):
    data = load_dataset(chosen(folders))
    spoil(folders / "train" / "dog" / "0.jpeg")
    with pytest.raises(DataError, match=pattern):
        np.asarray(data.train_inputs)


@pytest.mark.parametrize(
    ("spoil", "pattern"),
    [
        (lambda root: (root / "train").rename(root / "other"), r"holds no folder train\. The layout is .*train/CLASS"),
        (lambda root: (root / "val").rename(root / "other"), r"holds no folder test or val"),
        (lambda root: (root / "val" / "ape").mkdir(), r"val/ape: is a class without a folder in"),
        (lambda root: (root / "train" / "ape").mkdir(), r"train/ape: holds no image"),
        (lambda root: root.rename(root.with_name("gone")), r"there is no .*animals"),
    ],
)
def test_another_layout_is_refused(folders, spoil, pattern):
    spoil(folders)
    with pytest.raises(DataError, match=pattern):
        load_dataset(chosen(folders))


def test_a_relative_path_is_looked_for_in_hpcdl_data(folders, monkeypatch):
    monkeypatch.setenv("HPCDL_DATA", str(folders.parent))
    assert len(load_dataset(chosen(Path("animals"))).train_inputs) == 21


@pytest.mark.parametrize(
    ("data", "pattern"),
    [
        (Data(name="folders", path="x"), r"train\.data\.image_size: missing; folders needs it"),
        (
            Data(name="mnist", image_size=8),
            r"data\.image_size: mnist has no such option; it takes classes, per_class",
        ),
        (Data(name="folder", path="x"), r"'folder' is no data set; .* Did you mean folders\?"),
        (Data(name="synthetic", shape=[4]), r"train\.data\.shape: \[4\] has 1 numbers"),
        (Data(name="synthetic", targets=["x"], num_classes=3), r"num_classes \(classes\) or targets"),
    ],
)
def test_options_that_do_not_fit_are_refused(data, pattern):
    with pytest.raises(DataError, match=pattern):
        load_dataset(data)


def test_shards_give_what_the_folders_give(folders, tmp_path):
    index, corrupt = convert(folders, tmp_path / "shards", 4, workers=2)
    assert corrupt == []
    assert [name for name, _, _ in index.shards][:2] == [
        "train-00000-of-00004.tfrecord",
        "train-00001-of-00004.tfrecord",
    ]
    direct, sharded = (load_dataset(chosen(*args)) for args in ((folders,), (tmp_path / "shards", "tfrecord")))
    assert sharded.class_names == CLASSES

    def rows(data, part):
        inputs, labels = np.asarray(getattr(data, f"{part}_inputs")), getattr(data, f"{part}_targets")
        return sorted((int(label), row.tobytes()) for label, row in zip(labels, inputs, strict=True))

    for part in ("train", "test"):
        assert rows(sharded, part) == rows(direct, part)


def test_tensorflow_reads_our_shards_and_we_read_its(folders, tmp_path):
    tf = pytest.importorskip("tensorflow")
    convert(folders, tmp_path / "ours", 1, workers=1)
    read = [
        tf.io.parse_single_example(
            record,
            {
                "image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64),
                "image/filename": tf.io.FixedLenFeature([], tf.string),
            },
        )
        for record in tf.data.TFRecordDataset(str(tmp_path / "ours" / "train-00000-of-00001.tfrecord"))
    ]
    assert sorted(int(row["image/class/label"]) for row in read) == [0] * 7 + [1] * 7 + [2] * 7
    for row in read:
        file = folders / "train" / row["image/filename"].numpy().decode()
        assert row["image/encoded"].numpy() == file.read_bytes()
        assert CLASSES[int(row["image/class/label"])] == file.parent.name

    (tmp_path / "theirs").mkdir()
    for name, labels in (("train-00000-of-00001", [2, 1, 3]), ("validation-00000-of-00001", [3])):
        with tf.io.TFRecordWriter(str(tmp_path / "theirs" / name)) as writer:
            for label in labels:  # as TensorFlow's ImageNet: labels from 1, many more features
                feature = {
                    "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    "image/class/text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"name%d" % label])),
                    "image/object/bbox/xmin": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 0.25])),
                    "image/encoded": tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[encoded(gradient(20, 20, 40 * label), "png")])
                    ),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
    index_folder(tmp_path / "theirs", workers=1)
    data = load_dataset(chosen(tmp_path / "theirs", "tfrecord"))
    assert data.train_targets.tolist() == [1, 0, 2]
    assert data.class_names == ("name1", "name2", "name3")
    assert np.asarray(data.train_inputs)[:, 0, 0, 0].tolist() == [80, 40, 120]


def test_corrupt_images_are_all_named_and_can_be_left_out(folders, tmp_path):
    (folders / "train" / "cat" / "1.png").write_bytes(b"torn")
    (folders / "train" / "owl" / "0.jpeg").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"2 images are corrupt: .*cat/1\.png.*owl/0\.jpeg.*--skip-corrupt"):
        convert(folders, tmp_path / "shards", 7, workers=2)
    assert not (tmp_path / "shards" / INDEX_FILE).exists()
    assert len(list((tmp_path / "shards").glob("train-*"))) in (5, 6), "shards without a corrupt image stay"
    index, corrupt = convert(folders, tmp_path / "shards", 7, workers=2, skip_corrupt=True)
    assert len(corrupt) == 2
    assert len(index.arrays["train_label"]) == 19
    assert "cat/1.png" in (tmp_path / "shards" / "skipped.txt").read_text()


def test_an_interrupted_conversion_goes_on_and_leaves_no_half_file(folders, tmp_path, monkeypatch):
    out, written = tmp_path / "shards", []
    write = converting.atomic_file

    def killed_at_the_third(path):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        return write(path)

    monkeypatch.setattr(converting, "atomic_file", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        convert(folders, out, 5, workers=1)
    left = sorted(path.name for path in out.iterdir())
    assert INDEX_FILE not in left
    assert all(scan_shard(out / name).lengths.size for name in left), "what is there is whole"
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    monkeypatch.setattr(converting, "atomic_file", write)
    convert(folders, out, 5, workers=1)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before, "finished shards are not written anew"
    assert len(np.asarray(load_dataset(chosen(out, "tfrecord")).train_inputs)) == 21


def test_a_full_disk_is_said_before_anything_is_written(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(converting.shutil, "disk_usage", lambda folder: converting.shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(DataError, match=r"shards: \d+ bytes are needed, but 9 are free"):
        convert(folders, tmp_path / "shards", 2, workers=1)


@pytest.mark.parametrize(
    ("spoil", "pattern"),
    [
        (lambda folder, shard: shard.write_bytes(shard.read_bytes()[:-3]), r"holds \d+ bytes, expected \d+: it is cut"),
        (lambda folder, shard: shard.unlink(), r"train-00000-of-00002\.tfrecord: cannot be read"),
        (lambda folder, shard: (folder / INDEX_FILE).unlink(), r"has no index\.npz.*hpcdl data index"),
        (lambda folder, shard: (folder / INDEX_FILE).write_bytes(b"PK\x03\x04torn"), r"is no whole index"),
    ],
)
def test_torn_shards_are_refused_before_training(folders, tmp_path, spoil, pattern):
    convert(folders, tmp_path, 2, workers=1)
    spoil(tmp_path, tmp_path / "train-00000-of-00002.tfrecord")
    with pytest.raises(DataError, match=pattern):
        load_dataset(chosen(tmp_path, "tfrecord"))


def test_one_altered_byte_of_a_shard_is_noticed_when_it_is_read(folders, tmp_path):
    convert(folders, tmp_path, 2, workers=1)
    shard = tmp_path / "train-00000-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"the checksum of the record at byte 12 does not match"):
        np.asarray(load_dataset(chosen(tmp_path, "tfrecord")).train_inputs)
    with pytest.raises(DataError, match=r"train-00000-of-00002\.tfrecord: the checksum of the record at byte 12"):
        index_folder(tmp_path, workers=1)


def test_the_commands(folders, tmp_path):
    run = CliRunner().invoke
    done = run(app, ["data", "convert", str(folders), str(tmp_path / "shards"), "--shards", "3"])
    assert done.exit_code == 0, done.output
    assert "21 train and 6 test images of 3 classes in 4 shards" in done.output
    options = ["--set", f"path={tmp_path / 'shards'}", "--set", "image_size=8"]
    told = run(app, ["data", "info", "tfrecord", *options, "--check"]).output
    assert "train: 21 x (8, 8, 3) uint8" in told
    assert "classes: 3 (cat, dog, owl)" in told
    assert "checked: every input could be read" in told
    assert load_dataset(chosen(tmp_path / "shards", "tfrecord", image_size=8)).digest in told
    assert "tfrecord" in run(app, ["data", "list"]).output


def test_other_pixels_or_options_are_another_digest(folders):
    digests = [load_dataset(chosen(folders, **options)).digest for options in ({}, {"resize": 20}, {"image_size": 15})]
    (folders / "train" / "owl" / "9.png").write_bytes(encoded(gradient(20, 20, 1), "png"))
    digests.append(load_dataset(chosen(folders)).digest)
    assert len(set(digests)) == 4
    assert all(len(digest) == hashlib.sha256().digest_size * 2 for digest in digests)

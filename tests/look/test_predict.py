"""Predictions: the measures against scikit-learn's, the tables in the order of the inputs, broken inputs named."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from hpcdl.errors import DataError, LookError
from hpcdl.train.predict import deal, measures, table
from hpcdl.train.predict.samples import Samples, class_names, of_folder
from hpcdl.train.trained import load_trained
from hpcdl.train.world import World

ALONE = World(rank=0, size=1, local_rank=0, local_size=1, host="here")


@pytest.fixture
def classes():
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 5, 300), random.integers(0, 5, 300)
    truth[truth == 3] = 1  # class 3 is never true
    predicted[predicted == 4] = 0  # class 4 is never predicted
    return truth, np.where(random.uniform(size=300) < 0.6, truth, predicted)


def test_the_measures_are_those_of_scikit_learn(classes):
    matrix = measures.confusion(*classes, 6)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(*classes, labels=range(6)))
    expected = metrics.precision_recall_fscore_support(*classes, labels=range(6), zero_division=np.nan)
    found = measures.by_class(matrix)
    for name, values in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        np.testing.assert_allclose(found[name], values, err_msg=name)
    assert np.isnan(found["recall"][3])


def test_the_worst_mistakes_are_the_surest_and_only_mistakes():
    values = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [np.nan, np.nan], [0.05, 0.95], [0.3, 0.7]], np.float32)
    truth = np.array([0, 0, 1, 1, 0, 1])
    assert measures.worst(truth, values, 10).tolist() == [4, 1, 2]
    assert measures.worst(truth, values, 1).tolist() == [4]


@pytest.fixture
def folder(run_folder, tmp_path):
    """Digits in class folders, one of them broken, and a file that is no image."""
    from PIL import Image

    from hpcdl.train.data import load_dataset

    data = load_dataset("digits")
    for index in range(150):
        path = tmp_path / "images" / str(data.test_targets[index]) / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.test_inputs[index, ..., 0]).save(path)
    (tmp_path / "images" / "2" / "broken.png").write_bytes(b"\x89PNG no more")
    (tmp_path / "images" / "README.txt").write_text("no image")
    return tmp_path / "images"


def test_a_folder_in_order_with_its_classes_and_the_broken_image_named(run_folder, folder):
    trained = load_trained(run_folder)
    samples = of_folder(folder, trained, class_names(None, 10))
    assert len(samples.names) == 151
    assert samples.names == sorted(samples.names)
    outputs = deal.predict(ALONE, trained.model, samples, workers=3, strict=False)
    rows = table.of_classes(samples, outputs, class_names(None, 10))
    assert rows.path.tolist() == samples.names
    assert rows.true.tolist() == [name.split("/")[0] for name in samples.names]
    assert rows.columns.tolist() == ["path", "predicted", "probability", "true", "error"]
    broken = rows[rows.path == "2/broken.png"].iloc[0]
    assert pd.isna(broken.predicted)
    assert pd.isna(broken.probability)
    assert "broken.png: is no whole image" in broken.error
    whole = rows[rows.path != "2/broken.png"]
    assert whole.error.isna().all()
    images = np.stack([samples.read(index) for index in whole.index]).astype(np.float32) / 255
    expected = trained.model(images).numpy()
    assert whole.predicted.astype(int).tolist() == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(whole.probability, expected.max(axis=1), rtol=1e-5)
    with pytest.raises(DataError, match=r"broken\.png"):
        deal.predict(ALONE, trained.model, samples, workers=3, strict=True)


def test_classes_are_only_known_where_every_file_is_in_a_folder_of_one(run_folder, folder):
    trained = load_trained(run_folder)
    (folder / "2" / "broken.png").rename(folder / "loose.png")
    assert of_folder(folder, trained, class_names(None, 10)).truth is None
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no file that ends in .jpeg, .jpg, .png"):
        of_folder(folder / "empty", trained, class_names(None, 10))


def test_tables_of_numbers_and_both_formats(tmp_path):
    truth = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    values = truth + np.array([[1, 0], [-1, 0], [np.nan, np.nan]], np.float32)
    samples, outputs = Samples(["a", "b", "c"], truth, lambda index: truth), deal.Outputs(values, {2: "c: torn"})
    rows = table.of_numbers(samples, outputs, ("x", "y"))
    assert rows.columns.tolist() == ["path", "x", "y", "true_x", "true_y", "error"]
    errors = table.of_errors(samples, outputs, ("x", "y"))
    assert errors.mae.tolist() == [1, 0]
    assert errors.rmse.tolist() == [1, 0]
    assert errors.bias.tolist() == [0, 0]
    assert errors.n.tolist() == [2, 2]
    table.write(rows, tmp_path / "a.csv")
    table.write(rows, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet"), check_dtype=False
    )
    for path in (tmp_path / "a.xlsx", tmp_path / "none" / "a.csv"):
        with pytest.raises(LookError, match="-o "):
            table.check(path)

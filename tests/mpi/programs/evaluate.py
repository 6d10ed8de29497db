"""Evaluate a model file on the first IMAGES test images of DATA, write loss and accuracy: MODEL DATA IMAGES OUTPUT."""

import json
import sys
from pathlib import Path

import keras

from hpcdl.train.data import load_dataset
from hpcdl.train.evaluate import evaluate
from hpcdl.train.world import world

model_file, name, num_images, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
data = load_dataset(name)
result = evaluate(
    keras.models.load_model(model_file), data.test_inputs[:num_images], data.test_targets[:num_images], top5=True
)
if world().rank == 0:
    output.write_text(json.dumps(result))

"""What TensorFlow gets to see of the training steps."""

import numpy as np

from hpcdl.train import trainer
from hpcdl.train.data import load_dataset
from hpcdl.train.world import world
from hpcdl.training import Training


def test_a_step_is_a_function_that_the_loop_calls():
    """In a graph with a cycle oneDNN gets the gradient of a pooling by chance only (docs/profile.md)."""
    training = Training(model="mnist_cnn", data="digits", epochs=1, batch_size=16)
    data = load_dataset("digits")
    run_steps = trainer.compile_steps(trainer.build_model(training, data, "float32", 2), data, training, world())
    function = run_steps.get_concrete_function(np.zeros((2, 16), np.int32), np.int32(0))
    functions = function.graph.as_graph_def().library.function
    with_pooling = [f for f in functions if any(node.op == "MaxPoolGrad" for node in f.node_def)]
    assert with_pooling
    assert all(f.attr["_noinline"].b and not f.signature.name.startswith("while") for f in with_pooling)

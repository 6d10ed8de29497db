"""The networks: one module for each family, each network a function of the input's shape.

`name(input_shape, **arguments) -> (inputs, features)`: a Keras input of shape (batch, *input_shape), channels last, and
features of shape (batch, num_features), to which `head.py` adds the last layer. `catalogue.py` and `arguments.py` need
no Keras, so that a job file is checked on a login node; all other modules here import it.
"""

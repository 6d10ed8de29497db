"""Transfer learning: the weights of a trained network, which layers learn when, and features computed once."""

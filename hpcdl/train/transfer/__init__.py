"""Transfer learning: the weights of a trained network, which of its layers learn when, and its features computed once."""

"""Inference over ranks: a folder or a test set through a trained network, each input exactly once, in its own order.

`samples` says what is to be predicted, `deal` lets the ranks do it, `measures` and `table` say how good it is,
`pictures` shows it, `predict` does all of it.
"""

"""Keras's layers with other kernels below them. In a model that trains they stand where Keras's own stood, whoever made
the network; a model that is saved holds Keras's own."""

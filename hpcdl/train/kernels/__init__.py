"""Operations of our own for TensorFlow on cores, `kernels.cc`: compiled with the environment, loaded by the trainer."""

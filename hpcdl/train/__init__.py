"""Data-parallel training: the only folder that imports TensorFlow, Horovod or MPI."""

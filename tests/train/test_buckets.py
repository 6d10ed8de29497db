"""How gradients are put into buckets; that they are reduced right: tests/mpi/test_equal_steps.py."""

import tensorflow as tf

from hpcdl.train.horovod import buckets


def test_buckets_are_filled_from_the_last_gradient_to_the_first():
    tensors = {index: tf.zeros(numbers) for index, numbers in enumerate((10, 1, 30, 20, 5))}
    assert buckets(tensors, 100) == [[4, 3], [2], [1, 0]]  # 4 bytes a number
    assert buckets(tensors, 101) == [[4, 3, 2], [1, 0]]
    assert buckets(tensors, 10**6) == [[4, 3, 2, 1, 0]]


def test_each_dtype_has_its_own():
    tensors = {1: tf.zeros(10), 2: tf.zeros(10, tf.float16), 4: tf.zeros(10), 7: tf.zeros(10, tf.float16)}
    assert buckets(tensors, 1000) == [[7, 2], [4, 1]]
    assert buckets({}, 1000) == []

import numpy as np
import pytest

from penultimate.networks.frameworks.to_onnx.writer import Ref, Writer, ints

pytest.importorskip("onnx")


def test_equal_constants_are_stored_once():
    writer = Writer()
    for value in (2.0, np.float32(2), np.array([2.0], np.float32), ints([2]), 2.0):
        writer.node("Mul", "x", value)
    assert [node.input[1] for node in writer.nodes] == [
        *("constant_0", "constant_0", "constant_1", "constant_2", "constant_0")
    ]


def test_a_tensor_is_transposed_once_and_not_back():
    writer = Writer()
    plain = Ref("x", (None, 5, 4, 3))
    moved = writer.moved(plain)
    assert writer.moved(plain) == moved
    assert writer.plain(moved) == plain
    assert [list(node.attribute[0].ints) for node in writer.nodes] == [[0, 3, 1, 2]]
    assert [moved.axis(axis) for axis in (0, 1, 2, 3, -1)] == [0, 2, 3, 1, 1]


def test_tensors_together_are_moved_if_one_is():
    writer = Writer()
    plain, moved = Ref("x", (None, 5, 3)), Ref("y", (None, 5, 3), moved=True)
    assert [each.moved for each in writer.together([plain, moved])] == [True, True]
    assert [each.moved for each in writer.together([moved, Ref("z", (None, 3))])] == [False, False]


def test_constants_are_laid_out_as_the_tensor_that_they_meet():
    writer, moved = Writer(), Ref("x", (None, 5, 4, 3), moved=True)
    assert writer.laid_out([1, 2, 3], moved).shape == (1, 3, 1, 1)
    assert writer.laid_out(np.ones((5, 1, 3)), moved).shape == (1, 3, 5, 1)
    assert writer.laid_out(2.0, moved).shape == ()

import pytest

from penultimate.networks.frameworks.backend import import_keras


@pytest.fixture
def eagerly():
    """Let TensorFlow run each layer as it comes: a graph of a thousand layers takes a minute."""
    if import_keras().backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)
    else:
        yield

"""ONNX Runtime for graphs from strangers, with its settings stated.

- The graph runs on the CPU, in `threads` threads that do not wait busily.
- Constants are not folded: a few bytes can say "a tensor of 30 GB of ones", and folding would make
  it while the file is opened.
- Tensors of all bundles in the process share one allocator with a limit, of half the memory of the
  machine, so that a graph that asks for more fails with an error of ours, not with the process.
"""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penultimate._common.imports import import_optional
from penultimate.bundle.errors import BundleError

if TYPE_CHECKING:
    import onnxruntime

MAX_MEMORY = 2**33  # of tensors in the process, in bytes, on a machine with twice as much
_GROW_AS_REQUESTED = 1
_registering = threading.Lock()
_is_limited = False


class Session:
    """A checked graph in ONNX Runtime; safe to use in several threads, and after a fork.

    Parameters
    ----------
    content : memoryview
        An ONNX model that `check_graph` accepts.
    threads : int or None
        For one prediction; None for as many as there are cores.
    """

    def __init__(self, content: memoryview, threads: int | None) -> None:
        self._content, self._threads = content, threads
        self._lock = threading.Lock()
        self._shapes: dict[str, tuple[int, ...]] = {}  # of what was run last
        self._process, self._session = os.getpid(), _open(content, threads)

    def inputs(self) -> dict[str, tuple[str, list[Any]]]:
        """Return type and shape of everything that can be fed, by name."""
        session = self._of_process()
        given = [*session.get_inputs(), *session.get_overridable_initializers()]
        return {each.name: (each.type, each.shape) for each in given}

    def outputs(self) -> dict[str, tuple[str, list[Any]]]:
        """Return type and shape of everything that is computed, by name."""
        return {each.name: (each.type, each.shape) for each in self._of_process().get_outputs()}

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute all outputs.

        Raises
        ------
        BundleError
            If ONNX Runtime fails, for want of memory for example.
        """
        session = self._of_process()
        names = [each.name for each in session.get_outputs()]
        options = import_optional("onnxruntime", "predict").RunOptions()
        shapes = {name: each.shape for name, each in feed.items()}
        # What a large image took is given back, as the next ones may be small. Of images of one
        # size it is kept, as a fifth of the time would go into getting it anew for each batch.
        if shapes != self._shapes:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._shapes = shapes
        try:
            found = session.run(names, dict(feed), options)
            return dict(zip(names, map(np.asarray, found), strict=True))
        except Exception as error:  # its exceptions have no base class of their own
            given = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise BundleError(
                f"The graph of the bundle cannot be run on {given}: {_reason(error)}"
            ) from error

    def _of_process(self) -> "onnxruntime.InferenceSession":
        # Threads do not survive a fork: a child opens its own session. The parent's is kept, as
        # closing it would wait for its threads.
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._of_parent = self._session
                    self._session = _open(self._content, self._threads)
                    self._process = os.getpid()
        return self._session


def _open(content: memoryview, threads: int | None) -> "onnxruntime.InferenceSession":
    runtime = import_optional("onnxruntime", "predict")
    _limit_memory(runtime)
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; there is no need to print them as well
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return runtime.InferenceSession(
            bytes(content),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],
        )
    except Exception as error:  # as above
        raise BundleError(
            f"ONNX Runtime {runtime.__version__} does not take the graph of the bundle: "
            f"{_reason(error)}"
        ) from error


def _limit_memory(runtime: ModuleType) -> None:
    """Register the allocator of all bundles; sessions that do not ask for it do not use it."""
    global _is_limited
    with _registering:
        if _is_limited:
            return
        memory = runtime.OrtMemoryInfo(
            "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
        )
        limits = {"max_mem": _memory_limit(), "arena_extend_strategy": _GROW_AS_REQUESTED}
        with suppress(Exception):  # the program has registered its own, with limits of its own
            runtime.create_and_register_allocator(memory, runtime.OrtArenaCfg(limits))
        _is_limited = True


def _memory_limit() -> int:
    try:
        of_machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return MAX_MEMORY
    return min(MAX_MEMORY, of_machine // 2) if of_machine > 0 else MAX_MEMORY


def _reason(error: Exception) -> str:
    """Return the words of an error of the runtime, without its code."""
    text = " ".join(str(error).split())
    for mark in ("Status Message: ", ": FAIL : ", ": INVALID_ARGUMENT : ", ": INVALID_GRAPH : "):
        text = text.partition(mark)[2] or text
    return text[:300].rstrip(".") + "."

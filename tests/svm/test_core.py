"""The boundary of the compiled core: a wrong array raises, and is never read or written."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from penultimate.svm import _native

core = _native.core
N, D = 30, 4
STARTS = np.array([0, 10, 20, N])
N_PAIRS = 3
X64 = np.random.default_rng(0).normal(size=(N, D))
X32 = X64.astype(np.float32)
RBF, LINEAR, PRECOMPUTED = (
    _native.make_kernel(name, 0.5, 0.0, 3) for name in ("rbf", "linear", "precomputed")
)


def squared_norms(X):
    return np.einsum("ij,ij->i", X, X)


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def of_float64(X=X64):
    return core.DoubleSource(X, None, squared_norms(X))


def of_float32(X=X32):
    return core.SingleSource(X, None, squared_norms(X))


def make_source(**changed):
    arguments = {"samples": X32, "products": None, "norms": squared_norms(X32), **changed}
    return core.SingleSource(**arguments)


def solve_pairs(**changed):
    arguments = {
        "context": _native.make_context(2),
        "f32": of_float32(),
        "f64": of_float64(),
        "kernel": RBF,
        "C_per_sample": np.ones(N),
        "starts": STARTS,
        "tolerance": 1e-3,
        "max_iterations": 10_000,
        "memory": 2**20,
        "coefficients": zeros(1, 2, N),
        "intercepts": zeros(1, N_PAIRS),
        "gaps": zeros(1, N_PAIRS),
        "iterations": zeros(1, N_PAIRS, dtype=np.int64),
        "statuses": zeros(1, N_PAIRS, dtype=np.int64),
        **changed,
    }
    core.solve_pairs(**arguments)
    return arguments["coefficients"]


def by_class(X):
    return tuple(own.copy() for own in np.split(X, STARTS[1:-1]))


def of_classes(**changed):
    within = tuple(own @ own.T for own in by_class(X64))
    arguments = {"norms": squared_norms(X64), "within_class": within, **changed}
    return core.DoubleSource.of_classes(arguments.pop("samples", by_class(X64)), **arguments)


def make_job(**changed):
    arguments = {
        "kernel": RBF,
        "weights": np.ones((2, N)),
        "Cs": [0.1, 1.0, 10.0],
        "tolerance": 1e-3,
        "coefficients": zeros(2, 3, 2, N, dtype=np.float32),
        "intercepts": zeros(2, 3, N_PAIRS),
        "gaps": zeros(2, 3, N_PAIRS),
        **changed,
    }
    return core.GridJob(**arguments)


def solve_grid(**changed):
    arguments = {
        "context": _native.make_context(2),
        "source": of_float32(),
        "starts": STARTS,
        "jobs": [make_job()],
        "max_iterations": 10_000,
        "memory": 2**20,
        **changed,
    }
    core.solve_grid(**arguments)


def multiply_all(**changed):
    arguments = {"samples": X32, "products": zeros(N, N, dtype=np.float32), **changed}
    core.multiply_all(_native.make_context(2), **arguments)


def multiply_within(**changed):
    arguments = {
        "samples": X32,
        "starts": STARTS,
        "within_class": zeros(300, dtype=np.float32),
        **changed,
    }
    core.multiply_within(_native.make_context(2), **arguments)


def decide(**changed):
    arguments = {
        "context": _native.make_context(2),
        "kernel": RBF,
        "samples": X64[:7],
        "support": X64,
        "products": None,
        "sample_at": None,
        "support_at": None,
        "sample_norms": squared_norms(X64[:7]),
        "support_norms": squared_norms(X64),
        "starts": STARTS,
        "coefficients": zeros(1, 2, N),
        "intercepts": zeros(1, N_PAIRS),
        "winners": zeros(1, 7, dtype=np.int32),
        "values": zeros(1, 7, N_PAIRS),
        **changed,
    }
    core.decide(**arguments)


FROM_PRODUCTS = {
    "kernel": PRECOMPUTED,
    "samples": None,
    "support": None,
    "products": X64[:7] @ X64.T,
    "sample_at": np.arange(7),
    "support_at": np.arange(N),
    "sample_norms": None,
    "support_norms": None,
}
CALLS = [make_source, solve_pairs, make_job, solve_grid, multiply_all, multiply_within, decide]


@pytest.mark.parametrize("call", CALLS)
def test_right_shapes_are_accepted(call):
    call()


def test_products_are_accepted():
    decide(**FROM_PRODUCTS)


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        (make_source, "norms", zeros(N - 1, dtype=np.float32)),
        (solve_pairs, "C_per_sample", np.ones(N - 1)),
        (solve_pairs, "coefficients", zeros(1, 2, N - 1)),
        (solve_pairs, "coefficients", zeros(1, 1, N)),
        (solve_pairs, "coefficients", zeros(2, 2, N)),
        (solve_pairs, "intercepts", zeros(1, N_PAIRS - 1)),
        (solve_pairs, "gaps", zeros(1, N_PAIRS - 1)),
        (solve_pairs, "iterations", zeros(1, N_PAIRS - 1, dtype=np.int64)),
        (solve_pairs, "statuses", zeros(1, N_PAIRS - 1, dtype=np.int64)),
        (solve_pairs, "unchanged", zeros(N_PAIRS - 1, dtype=np.int64)),
        (make_job, "coefficients", zeros(1, 3, 2, N, dtype=np.float32)),
        (make_job, "coefficients", zeros(2, 2, 2, N, dtype=np.float32)),
        (make_job, "coefficients", zeros(2, 3, 2, N - 1, dtype=np.float32)),
        (make_job, "intercepts", zeros(2, 3, N_PAIRS - 1)),
        (make_job, "gaps", zeros(2, 2, N_PAIRS)),
        (multiply_all, "products", zeros(N, N - 1, dtype=np.float32)),
        (multiply_within, "within_class", zeros(299, dtype=np.float32)),
        (decide, "support", zeros(N, D - 1)),
        (decide, "sample_norms", zeros(6)),
        (decide, "support_norms", zeros(N - 1)),
        (decide, "coefficients", zeros(1, 2, N - 1)),
        (decide, "coefficients", zeros(1, 1, N)),
        (decide, "intercepts", zeros(1, N_PAIRS - 1)),
        (decide, "winners", zeros(1, 6, dtype=np.int32)),
        (decide, "values", zeros(1, 7, N_PAIRS - 1)),
    ],
)
def test_a_wrong_shape_raises(call, name, value):
    with pytest.raises(ValueError, match=f"'{name}' must have shape .*; got .*{value.shape[-1]}"):
        call(**{name: value})


def make_source_within(starts):
    make_source(within_class=zeros(300, dtype=np.float32), starts=starts)


@pytest.mark.parametrize(
    "call",
    [
        make_source_within,
        lambda starts: solve_pairs(starts=starts),
        lambda starts: solve_grid(starts=starts),
        lambda starts: multiply_within(starts=starts),
        lambda starts: decide(starts=starts),
    ],
)
@pytest.mark.parametrize(
    "starts",
    [
        [0, 10, 20, N + 1],
        [0, 10, 20, N - 1],
        [1, 10, 20, N],
        [-1, 10, 20, N],
        [0, 20, 10, N],
        [0, 10, N + 5, N],
        [0, -(2**63), 20, N],
    ],
)
def test_starts_that_are_no_ranges_of_the_samples_raise(call, starts):
    with pytest.raises(ValueError, match=f"'starts' must begin .* the number of samples, {N}"):
        call(np.array(starts))


@pytest.mark.parametrize("starts", [[0], []])
def test_starts_of_no_class_raise(starts):
    with pytest.raises(ValueError, match="'starts' must have a value for each class"):
        solve_pairs(starts=np.array(starts, np.int64))


def test_a_class_without_samples_raises_where_it_is_solved_for():
    for solve in (solve_pairs, solve_grid):
        with pytest.raises(ValueError, match="must begin with 0, increase, and end"):
            solve(starts=np.array([0, 10, 10, N]))
    decide(starts=np.array([0, 10, 10, N]))


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, N]), "coefficients": zeros(1, 0, N)},
        {"coefficients": zeros(0, 2, N)},
    ],
)
def test_a_decision_between_nothing_raises(change):
    with pytest.raises(ValueError, match="needs two classes and one setting"):
        decide(**change)


def test_jobs_of_other_samples_or_classes_raise():
    weights, coefficients = np.ones((2, N - 1)), zeros(2, 3, 2, N - 1, dtype=np.float32)
    fewer_samples = make_job(weights=weights, coefficients=coefficients)
    two_classes = make_job(
        coefficients=zeros(2, 3, 1, N, dtype=np.float32),
        intercepts=zeros(2, 3, 1),
        gaps=zeros(2, 3, 1),
    )
    for job in (fewer_samples, two_classes):
        with pytest.raises(ValueError, match="must have the classes and samples of"):
            solve_grid(jobs=[make_job(), job])
    with pytest.raises((ValueError, TypeError)):
        solve_grid(jobs=[None])


def test_descending_values_of_c_raise():
    with pytest.raises(ValueError, match="must be in ascending order"):
        make_job(Cs=[1.0, 10.0, 0.1])


def test_sources_of_different_samples_raise():
    with pytest.raises(ValueError, match="must have the same samples"):
        solve_pairs(f32=of_float32(X32[:-1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": None}, "Pass either 'samples' or 'products'"),
        ({"products": zeros(N, N, dtype=np.float32)}, "Pass either 'samples' or 'products'"),
        ({"samples": None, "products": zeros(N, N - 1, dtype=np.float32)}, "must have shape"),
        ({"norms": None}, "need 'norms'"),
        ({"samples": zeros(N, 0, dtype=np.float32)}, "at least one feature"),
        ({"samples": zeros(2**31, 0, dtype=np.float32)}, "than an int can count: 2147483648"),
        ({"samples": zeros(0, 2**31, dtype=np.float32)}, "than an int can count: 2147483648"),
        ({"within_class": zeros(300, dtype=np.float32)}, "needs 'starts'"),
        ({"within_class": zeros(299, dtype=np.float32), "starts": STARTS}, "must have shape"),
    ],
)
def test_an_incomplete_source_raises(change, message):
    with pytest.raises(ValueError, match=message):
        make_source(**change)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2**31, 0), "'samples' has more rows or columns than an int can count"),
        ((0, 2**31), "'samples' has more rows or columns than an int can count"),
        ((N, 0), "at least one feature"),
    ],
)
@pytest.mark.parametrize("call", [multiply_all, multiply_within])
def test_samples_that_blas_cannot_multiply_raise(call, shape, message):
    with pytest.raises(ValueError, match=message):
        call(samples=zeros(*shape, dtype=np.float32))


def test_a_decision_on_more_than_an_int_can_count_raises():
    with pytest.raises(ValueError, match="'samples' has more rows or columns than an int"):
        decide(samples=zeros(0, 2**31))
    with pytest.raises(ValueError, match="'support' has more rows or columns than an int"):
        decide(samples=zeros(7, 0), support=zeros(2**31, 0))


def test_a_source_without_what_the_kernel_reads_raises():
    gram = X64 @ X64.T
    without_norms = core.DoubleSource(None, gram, None)
    without_norms32 = core.SingleSource(None, gram.astype(np.float32), None)
    for kernel in (RBF, LINEAR):
        with pytest.raises(ValueError, match="needs a source with 'norms'"):
            solve_pairs(f64=without_norms, kernel=kernel)
        with pytest.raises(ValueError, match="needs a source with 'norms'"):
            solve_pairs(f32=without_norms32, kernel=kernel)
        with pytest.raises(ValueError, match="needs a source with 'norms'"):
            solve_grid(source=without_norms32, jobs=[make_job(kernel=kernel)])
    with pytest.raises(ValueError, match="needs a source of 'products'"):
        solve_pairs(kernel=PRECOMPUTED)
    for missing in ("sample_norms", "support_norms"):
        with pytest.raises(ValueError, match="needs 'sample_norms' and 'support_norms'"):
            decide(**{missing: None})


@pytest.mark.parametrize("missing", ["samples", "support"])
def test_a_decision_without_half_of_its_samples_raises(missing):
    with pytest.raises(ValueError, match="Pass either 'samples' and 'support'"):
        decide(**{missing: None})


@pytest.mark.parametrize("missing", ["products", "sample_at", "support_at"])
def test_a_decision_without_half_of_its_products_raises(missing):
    with pytest.raises(ValueError, match="Pass either 'samples' and 'support'"):
        decide(**{**FROM_PRODUCTS, missing: None})


@pytest.mark.parametrize("name", ["sample_at", "support_at"])
@pytest.mark.parametrize("index", [-1, N, 2**62])
def test_indices_out_of_the_products_raise(name, index):
    indices = FROM_PRODUCTS[name].copy()
    indices[-1] = index
    with pytest.raises(ValueError, match=rf"'{name}' must be at least 0 and below .*; got {index}"):
        decide(**{**FROM_PRODUCTS, name: indices})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        (make_source, "samples", X32),
        (make_source, "norms", squared_norms(X32)),
        (solve_pairs, "C_per_sample", np.ones(N)),
        (solve_pairs, "starts", STARTS),
        (solve_pairs, "gaps", zeros(1, N_PAIRS)),
        (make_job, "weights", np.ones((2, N))),
        (solve_grid, "starts", STARTS),
        (multiply_all, "samples", X32),
        (multiply_within, "samples", X32),
        (multiply_within, "starts", STARTS),
        (decide, "samples", X64[:7]),
        (decide, "values", zeros(1, 7, N_PAIRS)),
    ],
)
def test_no_array_is_converted(call, name, value, dtype):
    """A copy would be a hidden cost and, of an output, a result that nobody sees."""
    if dtype == value.dtype:
        call(**{name: value})
        value = np.asfortranarray(np.repeat(value, 2, axis=-1))[..., ::2]  # wrong strides instead
    with pytest.raises(TypeError):
        call(**{name: value.astype(dtype, copy=False)})


def test_a_source_keeps_its_arrays():
    source = of_float64(X64.copy())
    expected = solve_pairs()
    junk = [np.full_like(X64, np.nan) for _ in range(100)]  # where the copy was, if it was freed
    np.testing.assert_array_equal(solve_pairs(f64=source), expected)
    assert len(junk) == 100


def test_a_job_keeps_its_arrays():
    coefficients = zeros(2, 3, 2, N, dtype=np.float32)
    before = sys.getrefcount(coefficients)
    job = make_job(coefficients=coefficients)
    assert sys.getrefcount(coefficients) > before
    del job
    assert sys.getrefcount(coefficients) == before


def test_residuals_are_those_of_the_solution_and_of_its_shape():
    residuals = np.full((2, N), np.nan)
    coefficients = solve_pairs(
        coefficients=zeros(1, 2, N), unchanged=np.zeros(N_PAIRS, np.int64), residuals=residuals
    )[0]
    distances = squared_norms(X64)[:, None] + squared_norms(X64) - 2 * X64 @ X64.T
    first, second = slice(0, 10), slice(10, 20)  # in rows 0 and 0
    pair = np.r_[coefficients[0, first], coefficients[0, second]]
    labels = np.repeat([1.0, -1.0], 10)
    expected = labels - np.exp(-0.5 * distances[:20, :20]) @ pair
    found = np.r_[residuals[0, first], residuals[0, second]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(ValueError, match=r"'residuals' must have shape \(2, 30\)"):
        solve_pairs(unchanged=np.zeros(N_PAIRS, np.int64), residuals=zeros(2, N + 1))


@pytest.mark.parametrize("type_", [-1, 4])
def test_an_unknown_kernel_raises(type_):
    with pytest.raises(ValueError, match="0 to 3"):
        core.Kernel(type_, 1.0, 0.0, 3)


@pytest.mark.parametrize(
    ("routines", "n_threads", "variant", "message"),
    [
        (_native.linear_algebra(), 0, "", "'n_threads' must be at least 1"),
        ((0, 0, 0), 1, "", "'routines' must be three addresses"),
        (_native.linear_algebra(), 1, "mmx", "does not run mmx"),
    ],
)
def test_a_context_that_cannot_work_raises(routines, n_threads, variant, message):
    with pytest.raises(ValueError, match=message):
        core.Context(routines, n_threads, variant, None)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the size of a stack is set as glibc reads it")
def test_without_a_thread_the_calling_thread_does_the_work():
    """Each stack would be as large as the address space, so that no thread can be had."""
    code = """
        import threading

        import numpy as np

        from penultimate.svm import _native

        try:
            threading.Thread(target=print).start()
            raise SystemExit("a thread was had")
        except RuntimeError:
            pass
        X = np.random.default_rng(0).normal(size=(600, 5)).astype(np.float32)
        products, shares = np.zeros((600, 600), np.float32), []
        context = _native.make_context(4, lambda done, count: shares.append(done / count))
        _native.core.multiply_all(context, X, products)
        np.testing.assert_allclose(products, X @ X.T, rtol=1e-4, atol=1e-5)
        assert shares == [1.0], shares
    """
    import resource  # not on Windows

    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard != resource.RLIM_INFINITY:
        pytest.skip("the size of a stack is limited here")
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (2**47, hard)),
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("within", [None, tuple(own @ own.T for own in by_class(X64))])
def test_samples_may_have_an_array_for_each_class(within):
    together = solve_pairs(f32=None, memory=1)
    apart = solve_pairs(f32=None, memory=1, f64=of_classes(within_class=within))
    np.testing.assert_allclose(apart, together, atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"samples": ()}, "must have features"),
        ({"samples": by_class(zeros(N, 0))}, "must have features"),
        ({"samples": (*by_class(X64)[:2], zeros(10, D + 1))}, "'samples' must have shape"),
        ({"norms": zeros(N - 1)}, "'norms' must have shape"),
        ({"within_class": (zeros(10, 10),)}, "a matrix for each class"),
        ({"within_class": (zeros(10, 10), zeros(10, 10), zeros(10, 9))}, "'within_class' must"),
    ],
)
def test_arrays_of_classes_that_do_not_fit_raise(changed, message):
    with pytest.raises(ValueError, match=message):
        of_classes(**changed)


@pytest.mark.parametrize(
    "changed", [{"samples": by_class(X32)}, {"samples": (1,)}, {"within_class": by_class(X32)}]
)
def test_arrays_of_classes_are_not_converted(changed):
    with pytest.raises(TypeError, match="must hold matrices"):
        of_classes(**changed)


def test_a_class_over_two_arrays_is_not_read():
    starts = np.array([0, 11, 20, N])
    with pytest.raises(ValueError, match="must be those of the source's classes"):
        solve_pairs(f32=None, f64=of_classes(within_class=None), starts=starts)
    flat = make_source(within_class=zeros(300, dtype=np.float32), starts=STARTS)
    with pytest.raises(ValueError, match="must be those of the source's classes"):
        solve_grid(source=flat, starts=starts)


@pytest.mark.parametrize("memory", [1, 2**30])
def test_values_that_are_copied_between_rows_are_those_of_the_kernel(memory):
    generator = np.random.default_rng(1)
    starts, n = np.array([0, 300, 700]), 700
    X = generator.normal(size=(n, 300))
    kernel = _native.make_kernel("rbf", 1 / 600, 0.0, 3)
    found = {name: zeros(1, 1) for name in ("intercepts", "gaps")}
    counts = {name: zeros(1, 1, dtype=np.int64) for name in ("iterations", "statuses")}
    residuals = zeros(1, n)
    coefficients = solve_pairs(
        f32=None,
        f64=of_float64(X),
        kernel=kernel,
        C_per_sample=np.full(n, 10.0),
        starts=starts,
        memory=memory,
        coefficients=zeros(1, 1, n),
        residuals=residuals,
        **found,
        **counts,
    )[0, 0]
    distances = squared_norms(X)[:, None] + squared_norms(X) - 2 * X @ X.T
    values = np.exp(-distances / 600)
    np.fill_diagonal(values, 1)
    expected = np.where(np.arange(n) < 300, 1, -1) - values @ coefficients
    assert counts["statuses"] == 0
    np.testing.assert_allclose(residuals[0], expected, atol=1e-10)

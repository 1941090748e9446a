// The Python module penultimate.svm._core: bindings, and the division of the work into tasks.
//
// Arrays for the results are passed in. Shapes are not checked here: penultimate.svm makes all
// arrays, and users do not call this module.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <optional>

#include "decisions.hpp"
#include "pair.hpp"
#include "parallel.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace penultimate;

namespace {

template <class T, size_t N>
using Array = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, size_t N>
using Output = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

template <class AnyArray>
auto* data_or_null(const std::optional<AnyArray>& array) {
    return array ? array->data() : nullptr;
}

// The means of the computation: BLAS, vector instructions, threads, and a progress callback.
struct Context {
    Blas blas;
    const Variant* variant;
    int n_threads;
    nb::object progress;  // called with (tasks done, tasks), or None

    Context(const std::array<uintptr_t, 3>& routines, int threads, const std::string& name,
            nb::object progress)
        : blas{reinterpret_cast<Gemm<float>>(routines[0]),
               reinterpret_cast<Gemm<double>>(routines[1]), reinterpret_cast<Posv>(routines[2])},
          variant(choose_variant(name.empty() ? nullptr : name.c_str())), n_threads(threads),
          progress(std::move(progress)) {
        if (!variant) throw nb::value_error(("this processor does not run " + name).c_str());
    }

    // Runs tasks with the interpreter's lock released; Ctrl-C ends them. Python handles signals in
    // its main thread only: elsewhere PyErr_CheckSignals returns 0 without looking, so a fit on
    // another thread, as in a pool, goes on to its end after Ctrl-C.
    template <class MakeTask>
    void run(size_t count, std::atomic<bool>& cancelled, const MakeTask& make_task) const {
        bool failed = false;
        const auto listen = [&](int done) {
            const nb::gil_scoped_acquire acquire;
            failed = PyErr_CheckSignals() != 0;
            if (!failed && !progress.is_none()) {
                PyObject* answer = PyObject_CallFunction(progress.ptr(), "in", done, Py_ssize_t(count));
                failed = !answer;
                Py_XDECREF(answer);
            }
            // The Python error stays set until `run` rethrows it; no Python code runs on this
            // thread in between.
            return !failed;
        };
        {
            const nb::gil_scoped_release release;
            run_parallel(int(count), n_threads, cancelled, make_task, listen);
        }
        if (failed) throw nb::python_error();
    }
};

// A pair of classes, i < j.
struct Places {
    size_t i, j;
    Pair pair;
    int size() const { return pair.first.size() + pair.second.size(); }
};

std::vector<Places> all_pairs(const Array<int64_t, 1>& starts) {
    std::vector<Places> pairs;
    const size_t n_classes = starts.shape(0) - 1;
    for (size_t i = 0; i < n_classes; ++i)
        for (size_t j = i + 1; j < n_classes; ++j)
            pairs.push_back({i, j, {{starts(i), starts(i + 1)}, {starts(j), starts(j + 1)}}});
    return pairs;
}

// Positions by descending size: a large task that begins last would keep one thread busy after the
// others have finished.
std::vector<size_t> largest_first(const std::vector<Places>& pairs) {
    std::vector<size_t> order(pairs.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return pairs[a].size() > pairs[b].size(); });
    return order;
}

// Destination of the solutions. `coefficients` is (settings, classes - 1, samples), laid out as in
// `Machines`; the others are (settings, pairs). Each pair writes to places of its own, so threads
// need no lock.
template <class T>
struct Solutions {
    T* coefficients;
    double *intercepts, *gaps;
    size_t n_classes, n_samples, n_pairs;

    void store(size_t setting, size_t pair, const Places& places, const Solution& s) const {
        T* out = coefficients + setting * (n_classes - 1) * n_samples;
        const auto middle = s.b.begin() + places.pair.first.size();
        std::copy(s.b.begin(), middle, out + (places.j - 1) * n_samples + places.pair.first.begin);
        std::copy(middle, s.b.end(), out + places.i * n_samples + places.pair.second.begin);
        intercepts[setting * n_pairs + pair] = s.intercept;
        gaps[setting * n_pairs + pair] = s.gap;
    }
};

// Solves every pair on its own, certified. `coefficients` is (1, classes - 1, samples), the other
// outputs are (1, pairs).
void solve_pairs(const Context& context, const std::optional<Source<float>>& single,
                 const Source<double>& twice, const Kernel& kernel, const Array<double, 1>& upper,
                 const Array<int64_t, 1>& starts, double tolerance, int64_t max_iterations,
                 size_t memory, Output<double, 3> coefficients, Output<double, 2> intercepts,
                 Output<double, 2> gaps, Output<int64_t, 2> iterations, Output<int64_t, 2> statuses) {
    std::atomic<bool> cancelled{false};
    const Data data{single.value_or(Source<float>{}), twice, context.blas, context.variant,
                    memory / size_t(context.n_threads)};
    const Limits limits{tolerance, max_iterations, &cancelled};
    const std::vector<Places> pairs = all_pairs(starts);
    const std::vector<size_t> order = largest_first(pairs);
    const Solutions<double> solutions{coefficients.data(), intercepts.data(), gaps.data(),
                                      starts.shape(0) - 1, upper.shape(0), pairs.size()};
    context.run(pairs.size(), cancelled, [&] {
        return [&, workspace = Workspace()](int k) mutable {
            const size_t pair = order[size_t(k)];
            const Solution s = solve_pair(data, kernel, pairs[pair].pair, upper.data(), limits, workspace);
            solutions.store(0, pair, pairs[pair], s);
            iterations(0, pair) = s.iterations;
            statuses(0, pair) = int64_t(s.status);
        };
    });
}

// A kernel with its folds and factors (values of C), and the destination of their solutions.
// `upper` has one row per fold: the weights of its training samples, and zero for those held out,
// whose coefficients then cannot leave zero. Settings of the outputs are (fold, factor), folds
// first.
struct GridJob {
    Kernel kernel;
    Array<double, 2> upper;
    std::vector<double> factors;
    double tolerance;
    Output<float, 4> coefficients;
    Output<double, 3> intercepts, gaps;

    size_t n_folds() const { return upper.shape(0); }

    // Some of the folds, for one pair.
    Job part(size_t begin, size_t end, size_t pair, const Places& places, size_t n_pairs) const {
        Job job{kernel, {}, factors, tolerance, {}};
        for (size_t fold = begin; fold < end; ++fold)
            job.folds.push_back(upper.data() + fold * upper.shape(1));
        const Solutions<float> solutions{coefficients.data(), intercepts.data(), gaps.data(),
                                         coefficients.shape(2) + 1, upper.shape(1), n_pairs};
        const size_t n_factors = factors.size();
        job.found = [=, &places](size_t fold, size_t c, const Solution& s) {
            solutions.store((begin + fold) * n_factors + c, pair, places, s);
        };
        return job;
    }
};

// Solves every pair in all jobs. The jobs of a pair share inner products, its folds share kernel
// values and start from one another's solutions. Where there are fewer than kEnough pairs, they are
// nevertheless split by job and fold, so that every thread has work.
void solve_grid(const Context& context, const Source<float>& source,
                const Array<int64_t, 1>& starts, const std::vector<const GridJob*>& jobs,
                int64_t max_iterations, size_t memory) {
    constexpr size_t kEnough = 16;
    std::atomic<bool> cancelled{false};
    const Data data{source, {}, context.blas, context.variant, memory / size_t(context.n_threads)};
    const Limits limits{0.0, max_iterations, &cancelled};
    const std::vector<Places> pairs = all_pairs(starts);
    const std::vector<size_t> order = largest_first(pairs);
    std::vector<std::pair<size_t, size_t>> parts;  // jobs and folds, where they are split
    if (pairs.size() < kEnough)
        for (size_t j = 0; j < jobs.size(); ++j)
            for (size_t fold = 0; fold < jobs[j]->n_folds(); ++fold) parts.push_back({j, fold});
    const size_t n_parts = std::max<size_t>(1, parts.size());
    context.run(pairs.size() * n_parts, cancelled, [&] {
        return [&, workspace = Workspace()](int k) mutable {
            const size_t pair = order[size_t(k) / n_parts];
            const Places& places = pairs[pair];
            std::vector<Job> mine;
            if (parts.empty()) {
                for (const GridJob* job : jobs)
                    mine.push_back(job->part(0, job->n_folds(), pair, places, pairs.size()));
            } else {
                const auto [j, fold] = parts[size_t(k) % n_parts];
                mine.push_back(jobs[j]->part(fold, fold + 1, pair, places, pairs.size()));
            }
            solve_jobs(data, places.pair, mine, limits, workspace);
        };
    });
}

// Writes all inner products of `samples` into `products`: blocks of the lower triangle, and their
// mirror images. A block of 256 x 256 floats is 256 KiB, and is in cache when it is mirrored.
void multiply_all(const Context& context, const Array<float, 2>& samples,
                  Output<float, 2> products) {
    constexpr size_t block = 256;
    const size_t n = samples.shape(0), d = samples.shape(1), n_blocks = (n + block - 1) / block;
    std::vector<std::pair<size_t, size_t>> blocks;
    for (size_t i = 0; i < n_blocks; ++i)
        for (size_t j = 0; j <= i; ++j) blocks.push_back({i * block, j * block});
    std::atomic<bool> cancelled{false};
    float* out = products.data();
    context.run(blocks.size(), cancelled, [&] {
        return [&](int k) {
            const auto [r, c] = blocks[size_t(k)];
            const size_t rows = std::min(block, n - r), columns = std::min(block, n - c);
            inner_products<float>(context.blas, {samples.data() + c * d, int(columns), int(d)},
                                  {samples.data() + r * d, int(rows), int(d)}, int(d),
                                  out + r * n + c, int(n));
            if (r == c) return;
            for (size_t y = 0; y < columns; ++y)
                for (size_t x = 0; x < rows; ++x) out[(c + y) * n + r + x] = out[(r + x) * n + c + y];
        };
    });
}

// Writes the inner products within each class into `within`, one class after the other.
void multiply_within(const Context& context, const Array<float, 2>& samples,
                     const Array<int64_t, 1>& starts, Output<float, 1> within) {
    constexpr int64_t step = 256;
    struct Task {
        int64_t begin, end, row;
        float* out;
    };
    std::vector<Task> tasks;
    float* out = within.data();
    for (size_t c = 0; c + 1 < starts.shape(0); ++c)
        for (int64_t row = starts(c); row < starts(c + 1); row += step) {
            tasks.push_back({starts(c), starts(c + 1), row, out});
            out += (std::min(starts(c + 1), row + step) - row) * (starts(c + 1) - starts(c));
        }
    const int d = int(samples.shape(1));
    std::atomic<bool> cancelled{false};
    context.run(tasks.size(), cancelled, [&] {
        return [&](int k) {
            const Task& t = tasks[size_t(k)];
            const int n = int(t.end - t.begin), n_rows = int(std::min(t.end - t.row, step));
            inner_products<float>(context.blas, {samples.data() + t.begin * d, n, d},
                                  {samples.data() + t.row * d, n_rows, d}, d, t.out, n);
        };
    });
}

// Computes winning classes, (settings, samples), and decision values, (settings, samples, pairs);
// either may be None. The inputs are rows of features, `samples` and `support`, or else the rows
// and columns of `products` at `sample_at` and `support_at`.
template <class T>
void decide(const Context& context, const Kernel& kernel,
            const std::optional<Array<T, 2>>& samples, const std::optional<Array<T, 2>>& support,
            const std::optional<Array<T, 2>>& products,
            const std::optional<Array<int64_t, 1>>& sample_at,
            const std::optional<Array<int64_t, 1>>& support_at,
            const std::optional<Array<T, 1>>& sample_norms,
            const std::optional<Array<T, 1>>& support_norms, const Array<int64_t, 1>& starts,
            const Array<T, 3>& coefficients, const Array<double, 2>& intercepts,
            std::optional<Output<int32_t, 2>> winners, std::optional<Output<T, 3>> values) {
    const Machines<T> machines{int(coefficients.shape(0)), int(starts.shape(0)) - 1, starts.data(),
                               coefficients.data(), intercepts.data()};
    const Cross<T> cross{data_or_null(products),
                         products ? int64_t(products->shape(1)) : 0,
                         data_or_null(sample_at),
                         data_or_null(support_at),
                         data_or_null(samples),
                         data_or_null(support),
                         samples ? int(samples->shape(1)) : 0,
                         data_or_null(sample_norms),
                         data_or_null(support_norms)};
    const int64_t n = int64_t(samples ? samples->shape(0) : sample_at->shape(0));
    const Decisions<T> out{n, data_or_null(winners), data_or_null(values)};
    Decider<T> decider(machines, cross, kernel, context.blas, kernels<T>(*context.variant), out);
    // A few milliseconds of work, of which starting threads would take a good part.
    constexpr double kInline = double(1 << 25);
    if (decider.work(n) <= kInline) {
        const nb::gil_scoped_release release;
        const int64_t step = decider.rows_at_once();
        for (int64_t begin = 0; begin < n; begin += step)
            decider.decide(begin, std::min(n, begin + step));
        return;
    }
    // If there are few rows, each thread gets an equal share of them, in multiples of four, the
    // height of a tile.
    const int64_t share = (n + context.n_threads - 1) / context.n_threads;
    const int64_t step = std::min<int64_t>(decider.rows_at_once(), (share + 3) / 4 * 4);
    std::atomic<bool> cancelled{false};
    context.run(size_t((n + step - 1) / step), cancelled, [&] {
        return [&, mine = Decider<T>(machines, cross, kernel, context.blas,
                                     kernels<T>(*context.variant), out)](int k) mutable {
            mine.decide(k * step, std::min(n, (k + 1) * step));
        };
    });
}

template <class T>
void bind_source(nb::module_& m, const char* name) {
    nb::class_<Source<T>>(m, name).def(
        "__init__",
        [](Source<T>* self, const std::optional<Array<T, 2>>& samples,
           const std::optional<Array<T, 2>>& products, const std::optional<Array<T, 1>>& norms,
           const std::optional<Array<T, 1>>& within,
           const std::optional<Array<int64_t, 1>>& starts) {
            new (self) Source<T>{data_or_null(samples), data_or_null(products), data_or_null(norms),
                                 int64_t(samples ? samples->shape(0) : products->shape(0)),
                                 samples ? int(samples->shape(1)) : 0};
            if (!within) return;
            const T* row = within->data();
            for (size_t c = 0; c + 1 < starts->shape(0); ++c)
                for (int64_t s = (*starts)(c); s < (*starts)(c + 1); ++s) {
                    self->within.push_back(row);
                    row += (*starts)(c + 1) - (*starts)(c);
                }
        },
        "samples"_a.none(), "products"_a.none(), "norms"_a.none(), "within"_a.none() = nb::none(),
        "starts"_a.none() = nb::none(), nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(),
        nb::keep_alive<1, 4>(), nb::keep_alive<1, 5>());
}

template <class T>
void bind_decide(nb::module_& m) {
    // Without conversion, a wrong dtype is an error instead of a copy: for inputs a hidden cost,
    // and for outputs a result that the caller would never see.
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("decide", &decide<T>, "context"_a, "kernel"_a, array("samples").none(),
          array("support").none(), array("products").none(), array("sample_at").none(),
          array("support_at").none(), array("sample_norms").none(), array("support_norms").none(),
          array("starts"), array("coefficients"), array("intercepts"), array("winners").none(),
          array("values").none());
}

}  // namespace

NB_MODULE(_core, m) {
    m.doc() = "The compiled part of penultimate.svm.";
    nb::class_<Kernel>(m, "Kernel")
        .def("__init__",
             [](Kernel* self, int type, double gamma, double coef0, int degree) {
                 new (self) Kernel{KernelType(type), gamma, coef0, degree};
             },
             "type"_a, "gamma"_a, "coef0"_a, "degree"_a);
    nb::class_<Context>(m, "Context")
        .def(nb::init<const std::array<uintptr_t, 3>&, int, const std::string&, nb::object>(),
             "routines"_a, "n_threads"_a, "variant"_a, "progress"_a.none());
    bind_source<float>(m, "SingleSource");
    bind_source<double>(m, "DoubleSource");
    m.def("variants", [] {
        std::vector<std::string> names;
        for (const char* name : {"avx512", "avx2", "plain"})
            if (choose_variant(name)) names.push_back(name);
        return names;
    });
    m.def("solve_pairs", &solve_pairs, "context"_a, "single"_a.none(), "twice"_a, "kernel"_a,
          "upper"_a, "starts"_a, "tolerance"_a, "max_iterations"_a, "memory"_a,
          "coefficients"_a.noconvert(), "intercepts"_a.noconvert(), "gaps"_a.noconvert(),
          "iterations"_a.noconvert(), "statuses"_a.noconvert());
    nb::class_<GridJob>(m, "GridJob")
        .def("__init__",
             [](GridJob* self, const Kernel& kernel, Array<double, 2> upper,
                std::vector<double> factors, double tolerance, Output<float, 4> coefficients,
                Output<double, 3> intercepts, Output<double, 3> gaps) {
                 new (self) GridJob{kernel,       std::move(upper),        std::move(factors),
                                    tolerance,    std::move(coefficients), std::move(intercepts),
                                    std::move(gaps)};
             },
             "kernel"_a, "upper"_a, "factors"_a, "tolerance"_a, "coefficients"_a.noconvert(),
             "intercepts"_a.noconvert(), "gaps"_a.noconvert());
    m.def("solve_grid", &solve_grid, "context"_a, "source"_a, "starts"_a, "jobs"_a,
          "max_iterations"_a, "memory"_a);
    m.def("multiply_all", &multiply_all, "context"_a, "samples"_a, "products"_a.noconvert());
    m.def("multiply_within", &multiply_within, "context"_a, "samples"_a, "starts"_a,
          "within"_a.noconvert());
    bind_decide<float>(m);
    bind_decide<double>(m);
}

// The Python module penultimate.svm._core: bindings, and the checks of what they are given.
//
// Arrays for the results are passed in. What is done with them, and in which order, is decided in
// grid.cpp and decisions.hpp.
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <optional>

#include "arrays.hpp"
#include "decisions.hpp"
#include "grid.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace penultimate;

namespace {

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
        require(threads >= 1, "'n_threads' must be at least 1.");
        require(routines[0] && routines[1] && routines[2], "'routines' must be three addresses.");
    }

    // Calls work(workers) with the interpreter's lock released; Ctrl-C ends it. Python handles
    // signals in its main thread only: elsewhere PyErr_CheckSignals returns 0 without looking, so a
    // fit on another thread, as in a pool, goes on to its end after Ctrl-C.
    template <class Work>
    void run(const Work& work) const {
        bool failed = false;
        const Workers workers{n_threads, [&](int done, int count) {
            const nb::gil_scoped_acquire acquire;
            failed = PyErr_CheckSignals() != 0;
            if (!failed && !progress.is_none()) {
                PyObject* answer = PyObject_CallFunction(progress.ptr(), "ii", done, count);
                failed = !answer;
                Py_XDECREF(answer);
            }
            // The Python error stays set until `run` rethrows it; no Python code runs on this
            // thread in between.
            return !failed;
        }};
        {
            const nb::gil_scoped_release release;
            work(workers);
        }
        if (failed) throw nb::python_error();
    }
};

size_t count_pairs(size_t n_classes) { return n_classes * (n_classes - 1) / 2; }

template <class T>
void add_samples(Source<T>& source, const Array<T, 2>& samples) {
    for (size_t r = 0; r < samples.shape(0); ++r)
        source.samples.push_back(samples.data() + r * samples.shape(1));
}

template <class T>
Source<T> make_source(const std::optional<Array<T, 2>>& samples,
                      const std::optional<Array<T, 2>>& products,
                      const std::optional<Array<T, 1>>& norms,
                      const std::optional<Array<T, 1>>& within_class,
                      const std::optional<Array<int64_t, 1>>& starts) {
    require(samples.has_value() != products.has_value(), "Pass either 'samples' or 'products'.");
    const size_t n = samples ? samples->shape(0) : products->shape(0);
    require_int(samples ? "samples" : "products", n);
    if (samples) require_int("samples", samples->shape(1));
    require(!samples || samples->shape(1) > 0, "'samples' must have at least one feature.");
    require(!samples || norms, "'samples' need 'norms'.");
    require_shape("products", products, {n, n});
    require_shape("norms", norms, {n});
    Source<T> source{{}, data_or_null(products), data_or_null(norms), int64_t(n),
                     samples ? int(samples->shape(1)) : 0};
    if (samples) add_samples(source, *samples);
    if (!within_class) return source;
    require(starts.has_value(), "'within_class' needs 'starts'.");
    const std::vector<Range> classes = classes_of(*starts, n, true);
    size_t size = 0;
    for (const Range& range : classes) size += size_t(range.size()) * size_t(range.size());
    require_shape("within_class", within_class, {size});
    const T* row = within_class->data();
    for (const Range& range : classes)
        for (int64_t s = range.begin; s < range.end; ++s, row += range.size())
            source.within_class.push_back(row);
    return source;
}

// Arrays out of a tuple, which cannot let go of them later.
template <class T>
std::vector<Array<T, 2>> arrays_in(const char* name, const nb::tuple& tuple) {
    std::vector<Array<T, 2>> arrays(tuple.size());
    for (size_t k = 0; k < tuple.size(); ++k)
        if (!nb::try_cast(tuple[k], arrays[k], false))
            throw nb::type_error((std::string("'") + name + "' must hold matrices of its type, in C order.").c_str());
    return arrays;
}

// Samples with an array for each class, so that a class that stays needs no copy.
template <class T>
Source<T> make_source_of_classes(const nb::tuple& samples, const Array<T, 1>& norms,
                                 const std::optional<nb::tuple>& within_class) {
    Source<T> source;
    source.norms = norms.data();
    const auto classes = arrays_in<T>("samples", samples);
    require(!classes.empty() && classes[0].shape(1) > 0, "'samples' must have features.");
    for (const Array<T, 2>& own : classes) {
        require_shape("samples", own, {own.shape(0), classes[0].shape(1)});
        add_samples(source, own);
    }
    require_int("samples", source.samples.size());
    require_int("samples", classes[0].shape(1));
    source.n = int64_t(source.samples.size());
    source.n_features = int(classes[0].shape(1));
    require_shape("norms", norms, {source.samples.size()});
    if (!within_class) return source;
    const auto within = arrays_in<T>("within_class", *within_class);
    require(within.size() == classes.size(), "'within_class' must have a matrix for each class.");
    for (size_t c = 0; c < classes.size(); ++c) {
        require_shape("within_class", within[c], {classes[c].shape(0), classes[c].shape(0)});
        for (size_t r = 0; r < within[c].shape(0); ++r)
            source.within_class.push_back(within[c].data() + r * within[c].shape(1));
    }
    return source;
}

// Samples of a class follow one another, and all their inner products are there, if any are.
template <class T>
void require_classes(const Source<T>& source, const std::vector<Range>& classes) {
    const auto is_whole = [&](const std::vector<const T*>& rows, int64_t s, int64_t width) {
        return rows.empty() || rows[size_t(s)] == rows[size_t(s) - 1] + width;
    };
    for (const Range& range : classes)
        for (int64_t s = range.begin + 1; s < range.end; ++s)
            require(is_whole(source.samples, s, source.n_features) &&
                        is_whole(source.within_class, s, range.size()),
                    "'starts' must be those of the source's classes.");
}

// The precomputed kernel is a matrix of its own; all others need squared norms.
template <class T>
void require_kernel(const Source<T>& source, const Kernel& kernel) {
    if (kernel.type == KernelType::precomputed)
        require(source.products, "The precomputed kernel needs a source of 'products'.");
    else
        require(source.norms, "This kernel needs a source with 'norms'.");
}

// The outputs of `solve_pairs` for one setting.
void solve_pairs_into(const Context& context, const std::optional<Source<float>>& f32,
                      const Source<double>& f64, const Kernel& kernel,
                      const Array<double, 1>& C_per_sample, const Array<int64_t, 1>& starts,
                      double tolerance, int64_t max_iterations, size_t memory,
                      Output<double, 3> coefficients, Output<double, 2> intercepts,
                      Output<double, 2> gaps, Output<int64_t, 2> iterations,
                      Output<int64_t, 2> statuses,
                      const std::optional<Array<int64_t, 1>>& unchanged,
                      std::optional<Output<double, 2>> residuals) {
    const size_t n = size_t(f64.n);
    const std::vector<Range> classes = classes_of(starts, n, false);
    const size_t n_classes = classes.size(), n_pairs = count_pairs(n_classes);
    require_kernel(f64, kernel);
    require_classes(f64, classes);
    if (f32) require_kernel(*f32, kernel);
    require(!f32 || f32->n == f64.n, "'f32' and 'f64' must have the same samples.");
    if (f32) require_classes(*f32, classes);
    require_shape("C_per_sample", C_per_sample, {n});
    if (unchanged) require_shape("unchanged", *unchanged, {n_pairs});
    require_shape("coefficients", coefficients, {1, n_classes - 1, n});
    require_shape("intercepts", intercepts, {1, n_pairs});
    require_shape("gaps", gaps, {1, n_pairs});
    require_shape("iterations", iterations, {1, n_pairs});
    require_shape("statuses", statuses, {1, n_pairs});
    require_shape("residuals", residuals, {n_classes - 1, n});
    const Data data{f32.value_or(Source<float>{}), f64, context.blas, context.variant, memory};
    const Solutions<double> out{coefficients.data(), intercepts.data(), gaps.data(), n_classes, n,
                                data_or_null(residuals)};
    context.run([&](const Workers& workers) {
        solve_pairs(data, kernel, classes, C_per_sample.data(),
                    unchanged ? unchanged->data() : nullptr,
                    {tolerance, max_iterations}, out, iterations.data(), statuses.data(), workers);
    });
}

GridJob make_job(const Kernel& kernel, const Array<double, 2>& weights, std::vector<double> Cs,
                 double tolerance, const Output<float, 4>& coefficients,
                 const Output<double, 3>& intercepts, const Output<double, 3>& gaps) {
    const size_t n_folds = weights.shape(0), n = weights.shape(1), n_Cs = Cs.size();
    const size_t n_classes = coefficients.shape(2) + 1;
    // A solution stays feasible for the next C only if the bounds widen.
    require(std::is_sorted(Cs.begin(), Cs.end()), "'Cs' must be in ascending order.");
    require_shape("coefficients", coefficients, {n_folds, n_Cs, n_classes - 1, n});
    require_shape("intercepts", intercepts, {n_folds, n_Cs, count_pairs(n_classes)});
    require_shape("gaps", gaps, {n_folds, n_Cs, count_pairs(n_classes)});
    return {kernel, weights.data(), n_folds, std::move(Cs), tolerance,
            {coefficients.data(), intercepts.data(), gaps.data(), n_classes, n}};
}

void solve_grid_into_jobs(const Context& context, const Source<float>& source,
                          const Array<int64_t, 1>& starts, const std::vector<const GridJob*>& jobs,
                          int64_t max_iterations, size_t memory) {
    const std::vector<Range> classes = classes_of(starts, size_t(source.n), false);
    require_classes(source, classes);
    for (const GridJob* job : jobs) {
        require(job, "'jobs' must not contain None.");
        require_kernel(source, job->kernel);
        require(job->out.n_classes == classes.size() && job->out.n_samples == size_t(source.n),
                "Each job must have the classes and samples of 'starts' and 'source'.");
    }
    const Data data{source, {}, context.blas, context.variant, memory};
    context.run([&](const Workers& workers) {
        solve_grid(data, classes, jobs, {0.0, max_iterations}, workers);
    });
}

Block<float> block_of(const Array<float, 2>& samples) {
    require_int("samples", samples.shape(0));
    require_int("samples", samples.shape(1));
    require(samples.shape(1) > 0, "'samples' must have at least one feature.");
    return {samples.data(), int(samples.shape(0)), int(samples.shape(1))};
}

void multiply_all_into(const Context& context, const Array<float, 2>& samples,
                       Output<float, 2> products) {
    const Block<float> block = block_of(samples);
    require_shape("products", products, {samples.shape(0), samples.shape(0)});
    context.run([&](const Workers& workers) {
        multiply_all(context.blas, block, products.data(), workers);
    });
}

void multiply_within_into(const Context& context, const Array<float, 2>& samples,
                          const Array<int64_t, 1>& starts, Output<float, 1> within_class) {
    const Block<float> block = block_of(samples);
    const std::vector<Range> classes = classes_of(starts, samples.shape(0), true);
    size_t size = 0;
    for (const Range& range : classes) size += size_t(range.size()) * size_t(range.size());
    require_shape("within_class", within_class, {size});
    context.run([&](const Workers& workers) {
        multiply_within(context.blas, block, classes, within_class.data(), workers);
    });
}

// Computes winning classes, (settings, samples), and decision values, (settings, samples, pairs);
// either may be None. The inputs are rows of features, `samples` and `support`, or else the rows
// and columns of `products` at `sample_at` and `support_at`.
template <class T>
void decide_into(const Context& context, const Kernel& kernel,
                 const std::optional<Array<T, 2>>& samples,
                 const std::optional<Array<T, 2>>& support,
                 const std::optional<Array<T, 2>>& products,
                 const std::optional<Array<int64_t, 1>>& sample_at,
                 const std::optional<Array<int64_t, 1>>& support_at,
                 const std::optional<Array<T, 1>>& sample_norms,
                 const std::optional<Array<T, 1>>& support_norms, const Array<int64_t, 1>& starts,
                 const Array<T, 3>& coefficients, const Array<double, 2>& intercepts,
                 std::optional<Output<int32_t, 2>> winners, std::optional<Output<T, 3>> values) {
    const bool from_samples = samples && support && !products && !sample_at && !support_at;
    const bool from_products = products && sample_at && support_at && !samples && !support;
    require(from_samples || from_products, "Pass either 'samples' and 'support', or 'products', "
                                           "'sample_at' and 'support_at'.");
    const size_t n = samples ? samples->shape(0) : sample_at->shape(0);
    const size_t n_support = support ? support->shape(0) : support_at->shape(0);
    if (from_samples) {
        require_int("samples", samples->shape(1));
        require_shape("support", support, {n_support, samples->shape(1)});
    } else {
        require_indices("sample_at", *sample_at, products->shape(0));
        require_indices("support_at", *support_at, products->shape(1));
    }
    require_int("support", n_support);
    const size_t n_classes = classes_of(starts, n_support, true).size();
    const size_t n_settings = coefficients.shape(0), n_pairs = count_pairs(n_classes);
    require(n_classes >= 2 && n_settings >= 1, "A decision needs two classes and one setting.");
    require(kernel.type != KernelType::rbf || (sample_norms && support_norms),
            "The RBF kernel needs 'sample_norms' and 'support_norms'.");
    require_shape("sample_norms", sample_norms, {n});
    require_shape("support_norms", support_norms, {n_support});
    require_shape("coefficients", coefficients, {n_settings, n_classes - 1, n_support});
    require_shape("intercepts", intercepts, {n_settings, n_pairs});
    require_shape("winners", winners, {n_settings, n});
    require_shape("values", values, {n_settings, n, n_pairs});
    const Machines<T> machines{int(n_settings), int(n_classes), starts.data(), coefficients.data(),
                               intercepts.data()};
    const Cross<T> cross{data_or_null(products),
                         products ? int64_t(products->shape(1)) : 0,
                         data_or_null(sample_at),
                         data_or_null(support_at),
                         data_or_null(samples),
                         data_or_null(support),
                         samples ? int(samples->shape(1)) : 0,
                         data_or_null(sample_norms),
                         data_or_null(support_norms)};
    const Decisions<T> out{int64_t(n), data_or_null(winners), data_or_null(values)};
    context.run([&](const Workers& workers) {
        decide(machines, cross, kernel, context.blas, kernels<T>(*context.variant), out, workers);
    });
}

// A source and a job hold pointers into their arrays, which `keep_alive` keeps as long as them.
template <class T>
void bind_source(nb::module_& m, const char* name) {
    nb::class_<Source<T>> source(m, name);
    source.def_static("of_classes", &make_source_of_classes<T>, "samples"_a,
                      array_argument("norms"), "within_class"_a.none() = nb::none(),
                      nb::keep_alive<0, 1>(), nb::keep_alive<0, 2>(), nb::keep_alive<0, 3>());
    source.def(
        "__init__",
        [](Source<T>* self, const std::optional<Array<T, 2>>& samples,
           const std::optional<Array<T, 2>>& products, const std::optional<Array<T, 1>>& norms,
           const std::optional<Array<T, 1>>& within_class,
           const std::optional<Array<int64_t, 1>>& starts) {
            new (self) Source<T>(make_source(samples, products, norms, within_class, starts));
        },
        array_argument("samples").none(), array_argument("products").none(),
        array_argument("norms").none(), array_argument("within_class").none() = nb::none(),
        array_argument("starts").none() = nb::none(), nb::keep_alive<1, 2>(),
        nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(), nb::keep_alive<1, 5>());
}

template <class T>
void bind_decide(nb::module_& m) {
    const auto array = array_argument;
    m.def("decide", &decide_into<T>, "context"_a, "kernel"_a, array("samples").none(),
          array("support").none(), array("products").none(), array("sample_at").none(),
          array("support_at").none(), array("sample_norms").none(), array("support_norms").none(),
          array("starts"), array("coefficients"), array("intercepts"), array("winners").none(),
          array("values").none());
}

}  // namespace

NB_MODULE(_core, m) {
    const auto array = array_argument;
    m.doc() = "The compiled part of penultimate.svm.";
    nb::class_<Kernel>(m, "Kernel")
        .def("__init__",
             [](Kernel* self, int type, double gamma, double coef0, int degree) {
                 require(type >= 0 && type <= int(KernelType::precomputed),
                         "'type' must be one of the kernels, 0 to 3.");
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
    m.def("solve_pairs", &solve_pairs_into, "context"_a, "f32"_a.none(), "f64"_a, "kernel"_a,
          array("C_per_sample"), array("starts"), "tolerance"_a, "max_iterations"_a, "memory"_a,
          array("coefficients"), array("intercepts"), array("gaps"), array("iterations"),
          array("statuses"), array("unchanged").none() = nb::none(),
          array("residuals").none() = nb::none());
    nb::class_<GridJob>(m, "GridJob")
        .def("__init__",
             [](GridJob* self, const Kernel& kernel, const Array<double, 2>& weights,
                std::vector<double> Cs, double tolerance, const Output<float, 4>& coefficients,
                const Output<double, 3>& intercepts, const Output<double, 3>& gaps) {
                 new (self) GridJob(make_job(kernel, weights, std::move(Cs), tolerance,
                                             coefficients, intercepts, gaps));
             },
             "kernel"_a, array("weights"), "Cs"_a, "tolerance"_a, array("coefficients"),
             array("intercepts"), array("gaps"), nb::keep_alive<1, 3>(), nb::keep_alive<1, 6>(),
             nb::keep_alive<1, 7>(), nb::keep_alive<1, 8>());
    m.def("solve_grid", &solve_grid_into_jobs, "context"_a, "source"_a, array("starts"), "jobs"_a,
          "max_iterations"_a, "memory"_a);
    m.def("multiply_all", &multiply_all_into, "context"_a, array("samples"), array("products"));
    m.def("multiply_within", &multiply_within_into, "context"_a, array("samples"),
          array("starts"), array("within_class"));
    bind_decide<float>(m);
    bind_decide<double>(m);
}

// The Python module penultimate.svm._core: arrays in, arrays out, no policy.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "pair.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace penultimate;

namespace {

template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T, size_t N>
using MutableTensor = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T>
using MutableMatrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::object to_numpy(std::vector<T>&& values) {
    auto* owned = new std::vector<T>(std::move(values));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    const size_t shape[] = {owned->size()};
    return nb::cast(nb::ndarray<nb::numpy, T>(owned->data(), 1, shape, owner));
}

const Variant* variant_named(const std::string& name) {
    const Variant* variant = choose_variant(name.empty() ? nullptr : name.c_str());
    if (!variant) throw nb::value_error(("this processor does not run " + name).c_str());
    return variant;
}

// Runs task(0) ... task(count - 1) on threads, while the calling thread listens for Ctrl-C.
template <class Task>
void run_parallel(int count, int n_threads, std::atomic<bool>& cancelled, const Task& task) {
    std::atomic<int> next{0};
    std::mutex mutex;
    std::condition_variable done;
    int running = 0;
    std::exception_ptr failure;
    const auto work = [&] {
        try {
            for (int k = next++; k < count && !cancelled; k = next++) task(k);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex);
            failure = std::current_exception();
            cancelled = true;
        }
        const std::lock_guard<std::mutex> lock(mutex);
        --running;
        done.notify_all();
    };
    bool interrupted = false;
    {
        const nb::gil_scoped_release release;
        std::vector<std::thread> threads;
        running = std::max(1, std::min(n_threads, count));
        for (int t = running; t > 0; --t) threads.emplace_back(work);
        std::unique_lock<std::mutex> lock(mutex);
        while (running > 0) {
            done.wait_for(lock, std::chrono::milliseconds(50));
            if (running > 0 && !interrupted) {
                lock.unlock();
                const nb::gil_scoped_acquire acquire;
                interrupted = PyErr_CheckSignals() != 0;
                if (interrupted) cancelled = true;
                lock.lock();
            }
        }
        lock.unlock();
        for (auto& thread : threads) thread.join();
    }
    if (interrupted) throw nb::python_error();
    if (failure) std::rethrow_exception(failure);
}

template <class T>
Samples<T> samples_of(const Matrix<T>& X, const std::optional<Vector<T>>& norms) {
    return {X.data(), norms ? norms->data() : nullptr, int(X.shape(1))};
}

nb::list solve_pairs(const std::optional<Matrix<float>>& X32,
                     const std::optional<Vector<float>>& norms32, const Matrix<double>& X64,
                     const std::optional<Vector<double>>& norms64, const Kernel& kernel,
                     const Vector<double>& upper, const Vector<int64_t>& starts, double tolerance,
                     int64_t max_iterations, size_t memory, int n_threads,
                     std::pair<uintptr_t, uintptr_t> blas, const std::string& variant) {
    std::atomic<bool> cancelled{false};
    Data data{};
    if (X32) data.single = samples_of<float>(*X32, norms32);
    data.twice = samples_of<double>(X64, norms64);
    data.kernel = kernel;
    data.blas = {reinterpret_cast<Gemm<float>>(blas.first),
                 reinterpret_cast<Gemm<double>>(blas.second)};
    data.variant = variant_named(variant);
    data.memory = memory / size_t(std::max(1, n_threads));
    data.cancelled = &cancelled;

    const int n_classes = int(starts.shape(0)) - 1;
    std::vector<PairProblem> problems;
    for (int i = 0; i < n_classes; ++i)
        for (int j = i + 1; j < n_classes; ++j)
            problems.push_back({{starts(i), starts(i + 1)}, {starts(j), starts(j + 1)},
                                upper.data(), tolerance, max_iterations});
    // The largest first, so that no thread ends with the longest task.
    std::vector<int> order(problems.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = int(k);
    const auto size = [&](int k) {
        return problems[size_t(k)].first.size() + problems[size_t(k)].second.size();
    };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return size(a) > size(b); });

    std::vector<Solution> solutions(problems.size());
    run_parallel(int(problems.size()), n_threads, cancelled, [&](int k) {
        const size_t task = size_t(order[size_t(k)]);
        solutions[task] = solve_pair(data, problems[task]);
    });
    nb::list results;
    for (Solution& s : solutions)
        results.append(nb::make_tuple(to_numpy(std::move(s.b)), s.intercept, s.gap, s.iterations,
                                      int(s.status)));
    return results;
}

// Every pair, fold and factor on one Gram matrix of sorted samples. `upper` has a row a fold: the
// weights of its training samples, and zero for those held out. `coefficients` is (folds, factors,
// classes - 1, samples), laid out as libsvm's: for a sample of class c, the row of another class o
// is o, or o - 1 where o > c. `intercepts` and `gaps` are (folds, factors, pairs).
void search_pairs(const Matrix<float>& gram, const Matrix<double>& upper,
                  const Vector<int64_t>& starts, const std::vector<double>& factors,
                  double tolerance, int64_t max_iterations, int n_threads,
                  MutableTensor<float, 4> coefficients, MutableTensor<double, 3> intercepts,
                  MutableTensor<double, 3> gaps, const std::string& variant) {
    std::atomic<bool> cancelled{false};
    Data data{};
    data.single = {gram.data(), nullptr, int(gram.shape(1))};
    data.kernel.type = KernelType::precomputed;
    data.variant = variant_named(variant);
    data.cancelled = &cancelled;
    struct Task {
        int fold, i, j, pair;
        int64_t size;
    };
    const int n_classes = int(starts.shape(0)) - 1, n_folds = int(upper.shape(0));
    std::vector<Task> tasks;
    for (int fold = 0; fold < n_folds; ++fold)
        for (int i = 0, pair = 0; i < n_classes; ++i)
            for (int j = i + 1; j < n_classes; ++j, ++pair)
                tasks.push_back({fold, i, j, pair,
                                 starts(i + 1) - starts(i) + starts(j + 1) - starts(j)});
    std::stable_sort(tasks.begin(), tasks.end(),
                     [](const Task& a, const Task& b) { return a.size > b.size; });
    run_parallel(int(tasks.size()), n_threads, cancelled, [&](int k) {
        const Task& t = tasks[size_t(k)];
        const PairProblem problem{{starts(t.i), starts(t.i + 1)},
                                  {starts(t.j), starts(t.j + 1)},
                                  upper.data() + size_t(t.fold) * upper.shape(1),
                                  tolerance, max_iterations};
        solve_path(data, problem, factors, [&](size_t c, const Solution& s) {
            const int n_first = problem.first.size();
            float* first = &coefficients(t.fold, c, t.j - 1, starts(t.i));
            float* second = &coefficients(t.fold, c, t.i, starts(t.j));
            for (int m = 0; m < n_first; ++m) first[m] = float(s.b[size_t(m)]);
            for (int m = 0; m < problem.second.size(); ++m)
                second[m] = float(s.b[size_t(m + n_first)]);
            intercepts(t.fold, c, t.pair) = s.intercept;
            gaps(t.fold, c, t.pair) = s.gap;
        });
    });
}

// Kernel values of all rows of `products`, X X^T, into `gram`.
void fill_gram(const Matrix<float>& products, const Vector<float>& norms, const Kernel& kernel,
               MutableMatrix<float> gram, int n_threads, const std::string& variant) {
    constexpr int64_t block = 64;
    const Kernels<float>& inner = kernels<float>(*variant_named(variant));
    const int64_t n = int64_t(products.shape(0));
    std::atomic<bool> cancelled{false};
    run_parallel(int((n + block - 1) / block), n_threads, cancelled, [&](int b) {
        for (int64_t r = b * block; r < std::min(n, (b + 1) * block); ++r) {
            float* row = gram.data() + r * n;
            inner.finish_row(kernel, products.data() + r * n, row, norms(r), norms.data(), n);
            if (kernel.type == KernelType::rbf) row[r] = 1.0f;
        }
    });
}

template <class T>
void finish_rows(MutableMatrix<T> products, const Vector<T>& row_norms, const Vector<T>& norms,
                 const Kernel& kernel, const std::string& variant) {
    const Kernels<T>& inner = kernels<T>(*variant_named(variant));
    const nb::gil_scoped_release release;
    for (size_t r = 0; r < products.shape(0); ++r) {
        T* row = products.data() + r * products.shape(1);
        inner.finish_row(kernel, row, row, row_norms(r), norms.data(), int64_t(products.shape(1)));
    }
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
    m.def("variants", [] {
        std::vector<std::string> names;
        for (const char* name : {"avx512", "avx2", "plain"})
            if (choose_variant(name)) names.push_back(name);
        return names;
    });
    m.def("solve_pairs", &solve_pairs, "X32"_a.none(), "norms32"_a.none(), "X64"_a,
          "norms64"_a.none(), "kernel"_a, "upper"_a, "starts"_a, "tolerance"_a,
          "max_iterations"_a, "memory"_a, "n_threads"_a, "blas"_a, "variant"_a = "");
    m.def("search_pairs", &search_pairs, "gram"_a, "upper"_a, "starts"_a, "factors"_a,
          "tolerance"_a, "max_iterations"_a, "n_threads"_a, "coefficients"_a, "intercepts"_a,
          "gaps"_a, "variant"_a = "");
    m.def("fill_gram", &fill_gram, "products"_a, "norms"_a, "kernel"_a, "gram"_a, "n_threads"_a,
          "variant"_a = "");
    m.def("finish_rows", &finish_rows<float>, "products"_a, "row_norms"_a, "norms"_a, "kernel"_a,
          "variant"_a = "");
    m.def("finish_rows", &finish_rows<double>, "products"_a, "row_norms"_a, "norms"_a, "kernel"_a,
          "variant"_a = "");
}

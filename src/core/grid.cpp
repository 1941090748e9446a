// Tasks and their order.
//
// A task is a pair of classes with all that can be shared for it. With few pairs that would leave
// threads without work, and a task is smaller: a pair on one fold, with one kernel. Which of the
// two depends on the number of pairs alone, not on that of threads or of cores, because a fold that
// starts from another's solution ends at slightly different coefficients.
#include "grid.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace penultimate {
namespace {

// From this many pairs on, a pair is a task: with eight threads, the last of 16 tasks of falling
// size leave little idle time. Below, smaller tasks keep threads busy, but make their Gram rows
// again for each fold, and start each fold cold.
constexpr size_t kEnough = 16;

// Rows per block of a matrix of inner products. 256 x 256 floats are 256 KiB: still in the second
// level of the cache when the block is mirrored, and large enough for BLAS to reach its full speed.
constexpr int64_t kBlock = 256;

// By descending size: a large task that begins last would keep one thread busy after the others
// have finished.
std::vector<ClassPair> pairs_of(const std::vector<Range>& classes) {
    std::vector<ClassPair> pairs;
    for (size_t i = 0; i < classes.size(); ++i)
        for (size_t j = i + 1; j < classes.size(); ++j)
            pairs.push_back({pairs.size(), i, j, {classes[i], classes[j]}});
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const ClassPair& a, const ClassPair& b) { return a.size() > b.size(); });
    return pairs;
}

// What a task solves for its pair.
struct Part {
    const GridJob* job;
    size_t begin, end;  // folds
};

// The parts of each task: one task for everything, or one for each fold of each job.
std::vector<std::vector<Part>> divide(const std::vector<const GridJob*>& jobs, size_t n_pairs) {
    std::vector<std::vector<Part>> tasks;
    if (n_pairs >= kEnough) tasks.resize(1);
    for (const GridJob* job : jobs) {
        if (n_pairs >= kEnough)
            tasks[0].push_back({job, 0, job->n_folds});
        else
            for (size_t fold = 0; fold < job->n_folds; ++fold) tasks.push_back({{job, fold, fold + 1}});
    }
    return tasks;
}

}  // namespace

namespace {

// The values of a pair, the first class's first, in an array that is laid out as in `Solutions`.
template <class T>
std::vector<double> gather(const T* all, size_t n_samples, const ClassPair& classes) {
    const auto [first, second] = classes.pair;
    const T *of_first = all + (classes.j - 1) * n_samples, *of_second = all + classes.i * n_samples;
    std::vector<double> values(of_first + first.begin, of_first + first.end);
    values.insert(values.end(), of_second + second.begin, of_second + second.end);
    return values;
}

template <class T>
void scatter(const std::vector<double>& values, T* all, size_t n_samples, const ClassPair& classes) {
    const auto [first, second] = classes.pair;
    const auto middle = values.begin() + first.size();
    std::copy(values.begin(), middle, all + (classes.j - 1) * n_samples + first.begin);
    std::copy(middle, values.end(), all + classes.i * n_samples + second.begin);
}

}  // namespace

template <class T>
void Solutions<T>::store(size_t setting, const ClassPair& classes, const Solution& solution) const {
    scatter(solution.b, coefficients + setting * (n_classes - 1) * n_samples, n_samples, classes);
    if (residuals) scatter(solution.f, residuals, n_samples, classes);
    const size_t at = setting * (n_classes * (n_classes - 1) / 2) + classes.index;
    intercepts[at] = solution.intercept;
    gaps[at] = solution.gap;
}

template <class T>
Start Solutions<T>::start_of(const ClassPair& classes) const {
    Start start{gather(coefficients, n_samples, classes), {}};
    if (residuals) start.f = gather(residuals, n_samples, classes);
    return start;
}

void solve_pairs(Data data, const Kernel& kernel, const std::vector<Range>& classes,
                 const double* C_per_sample, const int64_t* unchanged, Limits limits,
                 const Solutions<double>& out, int64_t* iterations, int64_t* statuses,
                 const Workers& workers) {
    std::atomic<bool> cancelled{false};
    limits.cancelled = &cancelled;
    data.memory /= size_t(workers.n_threads);
    const std::vector<ClassPair> pairs = pairs_of(classes);
    run_parallel(workers, int(pairs.size()), cancelled, [&] {
        return [&, workspace = Workspace()](int k) mutable {
            const ClassPair& pair = pairs[size_t(k)];
            if (unchanged && unchanged[pair.index]) return;
            const Start start = unchanged ? out.start_of(pair) : Start();
            const Solution solution =
                solve_pair(data, kernel, pair.pair, C_per_sample, start, limits, workspace);
            out.store(0, pair, solution);
            iterations[pair.index] = solution.iterations;
            statuses[pair.index] = int64_t(solution.status);
        };
    });
}

Job GridJob::on_folds(size_t begin, size_t end, const ClassPair& classes) const {
    Job job{kernel, {}, Cs, tolerance, {}};
    for (size_t fold = begin; fold < end; ++fold)
        job.fold_weights.push_back(weights + fold * out.n_samples);
    job.on_solution = [this, begin, &classes](size_t fold, size_t c, const Solution& solution) {
        out.store((begin + fold) * Cs.size() + c, classes, solution);
    };
    return job;
}

void solve_grid(Data data, const std::vector<Range>& classes,
                const std::vector<const GridJob*>& jobs, Limits limits, const Workers& workers) {
    std::atomic<bool> cancelled{false};
    limits.cancelled = &cancelled;
    data.memory /= size_t(workers.n_threads);
    const std::vector<ClassPair> pairs = pairs_of(classes);
    const std::vector<std::vector<Part>> tasks = divide(jobs, pairs.size());
    run_parallel(workers, int(pairs.size() * tasks.size()), cancelled, [&] {
        return [&, workspace = Workspace()](int k) mutable {
            const ClassPair& pair = pairs[size_t(k) / tasks.size()];
            std::vector<Job> own;
            for (const Part& part : tasks[size_t(k) % tasks.size()])
                own.push_back(part.job->on_folds(part.begin, part.end, pair));
            solve_jobs(data, pair.pair, own, limits, workspace);
        };
    });
}

// Blocks of the lower triangle, and their mirror images.
void multiply_all(const Blas& blas, const Block<float>& samples, float* products,
                  const Workers& workers) {
    const int64_t n = samples.n_rows, d = samples.stride;
    std::vector<std::pair<int64_t, int64_t>> blocks;
    for (int64_t r = 0; r < n; r += kBlock)
        for (int64_t c = 0; c <= r; c += kBlock) blocks.push_back({r, c});
    std::atomic<bool> cancelled{false};
    run_parallel(workers, int(blocks.size()), cancelled, [&] {
        return [&](int k) {
            const auto [r, c] = blocks[size_t(k)];
            const int64_t rows = std::min(kBlock, n - r), columns = std::min(kBlock, n - c);
            inner_products<float>(blas, {samples.values + c * d, int(columns), int(d)},
                                  {samples.values + r * d, int(rows), int(d)}, int(d),
                                  products + r * n + c, int(n));
            if (r == c) return;
            for (int64_t y = 0; y < columns; ++y)
                for (int64_t x = 0; x < rows; ++x)
                    products[(c + y) * n + r + x] = products[(r + x) * n + c + y];
        };
    });
}

void multiply_within(const Blas& blas, const Block<float>& samples,
                     const std::vector<Range>& classes, float* within_class,
                     const Workers& workers) {
    struct Task {
        Range range;
        int64_t row;
        float* out;
    };
    std::vector<Task> tasks;
    for (const Range& range : classes)
        for (int64_t row = range.begin; row < range.end; row += kBlock) {
            tasks.push_back({range, row, within_class});
            within_class += std::min(kBlock, range.end - row) * range.size();
        }
    const int d = samples.stride;
    std::atomic<bool> cancelled{false};
    run_parallel(workers, int(tasks.size()), cancelled, [&] {
        return [&](int k) {
            const auto& [range, row, out] = tasks[size_t(k)];
            const int n_rows = int(std::min(kBlock, range.end - row));
            inner_products<float>(blas, {samples.values + range.begin * d, range.size(), d},
                                  {samples.values + row * d, n_rows, d}, d, out, range.size());
        };
    });
}

}  // namespace penultimate

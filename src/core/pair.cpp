// Solving one pair: to a certificate (solve_pair), or many times for a search (solve_jobs).
//
// solve_pair runs in float32 first, where rows take half the memory and vectors hold twice as many
// values, then in float64 from that solution. If it is given a start, float64 looks at that first:
// where a few samples came or went, most pairs are solved already. If the residuals of the start are
// known but for a few samples, float64 goes on from there alone: nearly all of the time goes into
// Gram rows, and then it takes those of the samples that move, once. solve_jobs stays in float32 and
// saves work by order: it keeps kernel values while it goes through the folds, and along ascending C
// starts each problem from the solution of the one before, which stays feasible, as the bounds only
// widen.
#include "pair.hpp"

namespace penultimate {
namespace {

// Pairs up to this size are solved in float64 alone: a second phase would cost more than it saves.
constexpr int kTiny = 64;
// Runs in float64, each checked on fresh residuals. The first nearly always suffices; each other
// one starts from residuals without the rounding errors that the one before accumulated.
constexpr int kAttempts = 5;
// The float32 phase aims at this share of the tolerance. Its gap is off by the rounding of kernel
// values; with some room, float64 mostly has nothing left to do but confirm.
constexpr double kFastShare = 0.8;
// A start is gone on from in float64 if at most one in so many residuals is unknown.
constexpr ptrdiff_t kMostlyKnown = 4;
// How close a coefficient is to a bound that rounding made it miss, as a share of the room between
// its bounds: well above the rounding of a sum of a few float64, well below any real distance.
constexpr double kSlack = 1e-12;

// Signed coefficients: class +1 is in [0, C_k], class -1 in [-C_k, 0]. The other bound stays zero.
void set_bounds(Dual& dual, const Pair& pair, const double* weights, double C) {
    for (int k = 0; k < dual.n_first; ++k)
        dual.high[size_t(k)] = C * weights[pair.first.begin + k];
    for (int k = dual.n_first; k < dual.n; ++k)
        dual.low[size_t(k)] = -C * weights[pair.second.begin + k - dual.n_first];
}

// The mean residual of the free coefficients; without any, the middle of the interval of optimal
// values. After a warm start, rounding may leave a coefficient just off its bound: it does not
// count as free, since its residual is not the intercept.
double find_intercept(const Dual& dual, bool started_warm) {
    const auto slack = [&](size_t k) {
        const double room = dual.high[k] - dual.low[k];
        return started_warm && std::isfinite(room) ? kSlack * room : 0.0;
    };
    const auto may_grow = [&](size_t k) { return dual.b[k] < dual.high[k] - slack(k); };
    const auto may_shrink = [&](size_t k) { return dual.b[k] > dual.low[k] + slack(k); };
    double sum = 0;
    int count = 0;
    for (size_t k = 0; k < size_t(dual.n); ++k)
        if (may_grow(k) && may_shrink(k)) sum += dual.f[k], ++count;
    return count ? sum / count : find_gap(dual, may_grow, may_shrink).middle();
}

void conclude(const Dual& dual, const Gap& gap, bool started_warm, Solution& solution) {
    // Infinite if a side is empty, so that nothing may move: that is an optimum.
    solution.gap = std::isinf(gap.size()) ? 0.0 : std::max(gap.size(), 0.0);
    if (std::isnan(gap.size())) solution.gap = std::numeric_limits<double>::infinity();
    solution.intercept = find_intercept(dual, started_warm);
    solution.b = dual.b;
    solution.f = dual.f;
}

// Runs to the tolerance, and certifies it on residuals that are computed from scratch. During a run
// each move only updates them, and many moves with large kernel values accumulate rounding errors.
// On return, the gap always belongs to fresh residuals, unless cancelled: a run without an
// iteration has not touched them.
void certify(Decomposition<double>& phase, const Dual& dual, const Limits& limits,
             Solution& solution, Gap& gap) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const int64_t before = solution.iterations;
        solution.status = phase.run(&solution.iterations, gap);
        if (solution.status == Status::cancelled || solution.iterations == before) return;
        phase.recompute_residuals();
        gap = find_gap(dual);
        if (solution.status != Status::converged || gap.size() <= limits.tolerance) return;
        solution.status = Status::precision_limit;
    }
}

// Sets the coefficients and residuals of a start, and returns its gap. If most of the residuals are
// known, goes on to the solution.
Gap look_at(const Start& start, const Data& data, const Kernel& kernel, const Pair& pair,
            const Limits& limits, Workspace& workspace, Dual& dual, Solution& solution) {
    GramSource<double> source(data.f64, pair.first, pair.second, data.blas,
                              workspace.f64.gathered);
    Decomposition<double> phase(
        source, kernel, {kernels<double>(*data.variant), data.blas, data.memory, workspace.f64},
        limits, dual);
    const bool goes_on = start.is_mostly_known();
    if (goes_on) phase.know(start.b, start.f);
    phase.start_from(start.b);
    Gap gap = find_gap(dual);
    if (goes_on && gap.size() > limits.tolerance) certify(phase, dual, limits, solution, gap);
    return gap;
}

}  // namespace

bool Start::is_mostly_known() const {
    const auto unknown = std::count_if(f.begin(), f.end(), [](double x) { return std::isnan(x); });
    return !f.empty() && unknown * kMostlyKnown <= ptrdiff_t(f.size());
}

Solution solve_pair(const Data& data, const Kernel& kernel, const Pair& pair,
                    const double* C_per_sample, const Start& start, const Limits& limits,
                    Workspace& workspace) {
    Dual dual(pair.first.size(), pair.second.size());
    set_bounds(dual, pair, C_per_sample, 1.0);
    Solution solution;
    Gap gap;
    if (!start.b.empty()) {
        gap = look_at(start, data, kernel, pair, limits, workspace, dual, solution);
        if (gap.size() <= limits.tolerance || solution.status == Status::cancelled) {
            conclude(dual, gap, dual.b != start.b, solution);
            return solution;
        }
        solution = {};
        // Not finite: of no use as a start.
        if (std::isnan(gap.size())) {
            dual.start_cold();
            set_bounds(dual, pair, C_per_sample, 1.0);
        }
    }
    // The float32 phase cannot resolve violations below the rounding of its kernel values, and ends
    // when it makes no more progress. The float64 phase does the rest.
    const bool begin_fast = data.f32 && dual.n > kTiny;
    if (begin_fast) {
        Limits fast = limits;
        fast.tolerance *= kFastShare;
        GramSource<float> source(data.f32, pair.first, pair.second, data.blas,
                                 workspace.f32.gathered);
        Decomposition<float> phase(
            source, kernel,
            {kernels<float>(*data.variant), data.blas, data.memory, workspace.f32}, fast, dual);
        solution.status = phase.run(&solution.iterations, gap);
        // Kernel values that overflow float32 have spoilt the coefficients: start afresh.
        if (std::isnan(gap.size())) {
            dual.start_cold();
            set_bounds(dual, pair, C_per_sample, 1.0);
        }
    }
    if (solution.status != Status::cancelled) {
        GramSource<double> source(data.f64, pair.first, pair.second, data.blas,
                                  workspace.f64.gathered);
        Decomposition<double> phase(
            source, kernel,
            {kernels<double>(*data.variant), data.blas, data.memory, workspace.f64}, limits, dual);
        if (begin_fast) phase.recompute_residuals();
        certify(phase, dual, limits, solution, gap);
    }
    conclude(dual, gap, !start.b.empty(), solution);
    return solution;
}

void solve_jobs(const Data& data, const Pair& pair, const std::vector<Job>& jobs, Limits limits,
                Workspace& workspace) {
    Dual dual(pair.first.size(), pair.second.size());
    GramSource<float> source(data.f32, pair.first, pair.second, data.blas,
                             workspace.f32.gathered);
    // Half of the memory for inner products, the other half for the Gram rows made of them.
    source.make_cross(workspace.f32.products, data.memory / 2);
    for (const Job& job : jobs) {
        limits.tolerance = job.tolerance;
        dual.start_cold();
        Decomposition<float> phase(
            source, job.kernel,
            {kernels<float>(*data.variant), data.blas, data.memory / 2, workspace.f32}, limits,
            dual);
        Gap gap;
        // The solution of the last fold at the smallest C. The next fold starts from it, since
        // folds share most of their samples; `repair` then makes it feasible.
        std::vector<double> b, f;
        for (size_t fold = 0; fold < job.fold_weights.size(); ++fold) {
            for (size_t c = 0; c < job.Cs.size(); ++c) {
                const bool is_new_fold = c == 0 && fold > 0, started_warm = c > 0 || fold > 0;
                if (is_new_fold) {
                    dual.b = b;
                    dual.f = f;
                }
                set_bounds(dual, pair, job.fold_weights[fold], job.Cs[c]);
                if (is_new_fold) phase.repair();
                Solution solution;
                solution.status = phase.run(&solution.iterations, gap);
                if (solution.status == Status::cancelled) return;
                if (c == 0) {
                    b = dual.b;
                    f = dual.f;
                }
                conclude(dual, gap, started_warm, solution);
                job.on_solution(fold, c, solution);
            }
        }
    }
}

}  // namespace penultimate

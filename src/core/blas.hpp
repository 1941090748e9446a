// The BLAS and LAPACK that SciPy ships, called at the addresses in scipy.linalg.cython_blas and
// scipy.linalg.cython_lapack: nothing is linked, and nothing has to be found when building.
#pragma once

#include <cstdint>

namespace penultimate {

template <class T>
using Gemm = void (*)(char*, char*, int*, int*, int*, T*, T*, int*, T*, int*, T*, T*, int*);

using Posv = void (*)(char*, int*, int*, double*, int*, double*, int*, int*);

struct Blas {
    Gemm<float> sgemm = nullptr;
    Gemm<double> dgemm = nullptr;
    Posv dposv = nullptr;  // solves with a positive definite matrix

    void operator()(char* ta, char* tb, int* m, int* n, int* k, float* one, float* a, int* lda,
                    float* b, int* ldb, float* zero, float* c, int* ldc) const {
        sgemm(ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
    }
    void operator()(char* ta, char* tb, int* m, int* n, int* k, double* one, double* a, int* lda,
                    double* b, int* ldb, double* zero, double* c, int* ldc) const {
        dgemm(ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
    }
};

// Row-major block; rows are `stride` apart.
template <class T>
struct Block {
    const T* values;
    int n_rows, stride;
};

// c[r][s] = <row r of b, row s of a>, of `length` values each; rows of c are `stride` apart. BLAS
// is column-major: to it a row-major block is its transpose, hence 'T' for `a`, 'N' for `b`, and
// the two in this order.
template <class T>
void inner_products(const Blas& blas, Block<T> a, Block<T> b, int length, T* c, int stride) {
    if (a.n_rows == 0 || b.n_rows == 0) return;
    char transposed = 'T', plain = 'N';
    T one = 1, zero = 0;
    blas(&transposed, &plain, &a.n_rows, &b.n_rows, &length, &one, const_cast<T*>(a.values),
         &a.stride, const_cast<T*>(b.values), &b.stride, &zero, c, &stride);
}

}  // namespace penultimate

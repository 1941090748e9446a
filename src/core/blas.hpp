// Matrix products of the BLAS that SciPy brings, by the addresses in scipy.linalg.cython_blas.
#pragma once

#include <cstdint>

namespace penultimate {

template <class T>
using Gemm = void (*)(char*, char*, int*, int*, int*, T*, T*, int*, T*, int*, T*, T*, int*);

struct Blas {
    Gemm<float> sgemm = nullptr;
    Gemm<double> dgemm = nullptr;
};

inline void gemm(const Blas& blas, int m, int n, int k, const float* a, const float* b, float* c,
                 int ldc) {
    char t = 'T', plain = 'N';
    float one = 1, zero = 0;
    blas.sgemm(&t, &plain, &m, &n, &k, &one, const_cast<float*>(a), &k, const_cast<float*>(b), &k,
               &zero, c, &ldc);
}

inline void gemm(const Blas& blas, int m, int n, int k, const double* a, const double* b, double* c,
                 int ldc) {
    char t = 'T', plain = 'N';
    double one = 1, zero = 0;
    blas.dgemm(&t, &plain, &m, &n, &k, &one, const_cast<double*>(a), &k, const_cast<double*>(b), &k,
               &zero, c, &ldc);
}

}  // namespace penultimate

#include "strassen/strassen.h"

#include <algorithm>
#include <cmath>

#include "dispatch/kernels.h"
#include "strassen/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t share_floats = 1 << 14;  // a thread's share of a sum, at least: some microseconds of memory

// Rows × columns of a matrix, and where its quarters are.
Matrix part(const Matrix& m, std::int64_t row, std::int64_t column) {
    return {m.data + row * m.row + column * m.column, m.row, m.column};
}

class Levels {
public:
    Levels(Isa isa, int threads, float* gemm_space)
        : kernels_(STRIATE_KERNELS_OF(isa, strassen_kernels)), isa_(isa), threads_(threads), gemm_space_(gemm_space) {}

    // c = a·b, sides divisible by 2^levels.
    void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const Matrix& a, const Matrix& b, float* c,
                  std::int64_t c_row, int levels, float* space) const {
        if (levels == 0) return base({.m = m, .n = n, .k = k, .a = a, .b = b, .c = c, .c_row = c_row});
        m /= 2, n /= 2, k /= 2;
        const Matrix a11 = a, a12 = part(a, 0, k), a21 = part(a, m, 0), a22 = part(a, m, k);
        const Matrix b11 = b, b12 = part(b, 0, n), b21 = part(b, k, 0), b22 = part(b, k, n);
        float *const c11 = c, *const c12 = c + n, *const c21 = c + m * c_row, *const c22 = c21 + n;
        float *const x = space, *const y = x + m * std::max(k, n), *const rest = y + k * n;
        // sums lie as their operands do: along the axis on which values follow each other
        const Matrix s = a.row == 1 && a.column != 1 ? Matrix{x, 1, m} : Matrix{x, k, 1};
        const Matrix t = b.row == 1 && b.column != 1 ? Matrix{y, 1, k} : Matrix{y, n, 1};
        const auto product = [&](const Matrix& left, const Matrix& right, float* to, std::int64_t row) {
            multiply(m, n, k, left, right, to, row, levels - 1, rest);
        };
        combine(m, k, a11, a21, -1, s);  // S₃
        combine(k, n, b22, b12, -1, t);  // T₃
        product(s, t, c21, c_row);       // P₇
        combine(m, k, a21, a22, 1, s);   // S₁
        combine(k, n, b12, b11, -1, t);  // T₁
        product(s, t, c22, c_row);       // P₅
        combine(m, k, s, a11, -1, s);    // S₂
        combine(k, n, b22, t, -1, t);    // T₂
        product(s, t, c12, c_row);       // P₆
        combine(m, k, a12, s, -1, s);    // S₄
        product(s, b22, c11, c_row);     // P₃
        product(a11, b11, x, n);         // P₁, where the sums of A were
        lines(m, n, [&](std::int64_t i) {
            kernels_.gather({.p1 = x + i * n,
                             .c11 = c11 + i * c_row,
                             .c12 = c12 + i * c_row,
                             .c21 = c21 + i * c_row,
                             .c22 = c22 + i * c_row,
                             .count = n});
        });
        combine(k, n, t, b21, -1, t);  // T₄
        product(a22, t, c11, c_row);   // P₄
        combine(m, n, {c21, c_row, 1}, {c11, c_row, 1}, -1, {c21, c_row, 1});
        product(a12, b21, c11, c_row);  // P₂
        combine(m, n, {x, n, 1}, {c11, c_row, 1}, 1, {c11, c_row, 1});
    }

    void base(const Gemm& g) const { gemm(g, gemm_space_, isa_, threads_); }

    template <typename Visit>
    void lines(std::int64_t count, std::int64_t length, Visit visit) const {
        const std::int64_t each = std::max<std::int64_t>(share_floats / length, 1);
        parallel_items((count + each - 1) / each, threads_, [&](std::int64_t item, int) {
            for (std::int64_t i = item * each; i < std::min(count, (item + 1) * each); ++i) visit(i);
        });
    }

private:
    // to = x + sign · y, the sum being one that this class owns: contiguous along rows, or along columns.
    void combine(std::int64_t rows, std::int64_t columns, const Matrix& x, const Matrix& y, float sign,
                 const Matrix& to) const {
        const bool down = to.column != 1;  // its lines are columns
        const std::int64_t count = down ? columns : rows, length = down ? rows : columns;
        const auto turned = [&](const Matrix& m) { return down ? Matrix{m.data, m.column, m.row} : m; };
        const Matrix left = turned(x), right = turned(y), sum = turned(to);
        lines(count, length, [&](std::int64_t i) {
            float* const line = const_cast<float*>(sum.data) + i * sum.row;
            const float *p = left.data + i * left.row, *q = right.data + i * right.row;
            if (left.column == 1 && right.column == 1) return kernels_.combine(p, q, sign, line, length);
            for (std::int64_t j = 0; j < length; ++j) line[j] = p[j * left.column] + sign * q[j * right.column];
        });
    }

    const StrassenKernels& kernels_;
    Isa isa_;
    int threads_;
    float* gemm_space_;
};

// Whether there is nothing to halve, so that `gemm` takes the product as it is.
bool is_whole(std::int64_t m, std::int64_t n, std::int64_t k, int levels) {
    return levels == 0 || std::min({m, n, k}) < std::int64_t{1} << levels;
}

std::int64_t sums_floats(std::int64_t m, std::int64_t n, std::int64_t k, int levels) {
    std::int64_t floats = 0;
    for (; levels > 0; --levels) {
        m /= 2, n /= 2, k /= 2;
        floats += m * std::max(k, n) + k * n;
    }
    return floats;
}

}  // namespace

int strassen_levels(std::int64_t m, std::int64_t n, std::int64_t k) {
    int levels = 0;
    for (std::int64_t side = std::min({m, n, k}) / 2; side >= strassen_crossover; side /= 2) ++levels;
    return levels;
}

std::int64_t strassen_workspace(std::int64_t m, std::int64_t n, std::int64_t k, int levels, Isa isa, int threads) {
    const std::int64_t step = std::int64_t{1} << levels, even_m = m / step * step, even_n = n / step * step;
    const std::int64_t left_k = k % step;
    if (is_whole(m, n, k, levels)) return gemm_workspace(m, n, k, isa, threads);
    return sums_floats(m, n, k, levels) + std::max({gemm_workspace(m / step, n / step, k / step, isa, threads),
                                                    gemm_workspace(even_m, even_n, left_k, isa, threads),
                                                    gemm_workspace(even_m, n - even_n, k, isa, threads),
                                                    gemm_workspace(m - even_m, n, k, isa, threads)});
}

double strassen_error_bound(std::int64_t k, int levels) {
    const double inner = std::ceil(static_cast<double>(k) / std::ldexp(1.0, levels));
    return std::pow(18.0, levels) * (inner * inner + 6 * inner) + 3;  // with room for what is peeled, and the epilogue
}

void strassen(const Gemm& g, int levels, float* workspace, Isa isa, int threads) {
    const std::int64_t step = std::int64_t{1} << levels;
    const std::int64_t m = g.m / step * step, n = g.n / step * step, k = g.k / step * step;
    if (is_whole(g.m, g.n, g.k, levels)) return gemm(g, workspace, isa, threads);
    const Levels work(isa, threads, workspace + sums_floats(g.m, g.n, g.k, levels));
    work.multiply(m, n, k, g.a, g.b, g.c, g.c_row, levels, workspace);
    // what is left of K, over the even rows and columns, with the epilogue; where nothing is left, k = 0 is just that
    const GemmEpilogue& e = g.epilogue;
    if (k < g.k || e.row_bias != nullptr || e.column_bias != nullptr || e.residual != nullptr || e.relu) {
        work.base({.m = m,
                   .n = n,
                   .k = g.k - k,
                   .a = part(g.a, 0, k),
                   .b = part(g.b, k, 0),
                   .c = g.c,
                   .c_row = g.c_row,
                   .accumulate = true,
                   .epilogue = e});
    }
    const auto strip = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
        if (rows == 0 || columns == 0) return;
        work.base({.m = rows,
                   .n = columns,
                   .k = g.k,
                   .a = part(g.a, row, 0),
                   .b = part(g.b, 0, column),
                   .c = g.c + row * g.c_row + column,
                   .c_row = g.c_row,
                   .epilogue = {.row_bias = e.row_bias == nullptr ? nullptr : e.row_bias + row,
                                .column_bias = e.column_bias == nullptr ? nullptr : e.column_bias + column,
                                .residual = e.residual == nullptr ? nullptr : e.residual + row * g.c_row + column,
                                .relu = e.relu}});
    };
    strip(0, m, n, g.n - n);    // the last columns
    strip(m, g.m - m, 0, g.n);  // the last rows
}

}  // namespace striate

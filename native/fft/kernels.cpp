// Tiles in, products per frequency, tiles out, compiled once per instruction set.
#include "fft/kernels.h"

#include "fft/transform.h"
#include "simd/bounds.h"
#include "simd/rows.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr int tile_rows = registers == 32 ? 14 : 6;  // twice as many sums, 2 registers of u, 1 spread number

// Floats from what a product reads to what it asks memory for: weights are read once, from end to end, and the
// processor's own prefetching stops at every page.
constexpr std::int64_t ahead = 64 * lanes;

STRIATE_INLINE Complex load_complex(const float* from) { return {load(from), load(from + lanes)}; }
STRIATE_INLINE void store_complex(float* to, Complex x) { store(to, x.re), store(to + lanes, x.im); }

// The transforms A and B of two rows of real numbers, from that of a + i·b:
//     2·A(k) = Z(k) + Z̄(N−k)        2·B(k) = −i · (Z(k) − Z̄(N−k))
STRIATE_INLINE void separate(Complex z, Complex mirrored, Complex& a, Complex& b) {
    a = {z.re + mirrored.re, z.im - mirrored.im};
    b = {z.im + mirrored.im, mirrored.re - z.re};
}

// Row i of what is read to line, zeros around it, `size` pixels in all.
void read_row(const FftInput& in, std::int64_t i, std::int64_t size, float* line) {
    const std::int64_t y = in.top + i, begin = larger(in.left, 0), end = smaller(in.left + in.columns, in.width);
    std::int64_t written = 0;
    if (y >= 0 && y < in.height && begin < end) {
        const float* row = in.image + y * in.strides.row;
        for (; written < begin - in.left; ++written) store(line + written * lanes, zeros());
        if (in.column_spread == 1 && !in.mirrored) {
            gather_row(row, in.strides, in.maps, in.width, begin, end, line + written * lanes);
            written = end - in.left;
        } else {  // filters: nothing lies outside
            float* const close = in.scratch + 2 * (fft_largest + lanes) * lanes;
            gather_row(row, in.strides, in.maps, in.width, begin, end, close);
            for (std::int64_t x = 0; x < end; ++x) {
                for (; written < x * in.column_spread; ++written) store(line + written * lanes, zeros());
                store(line + written++ * lanes, load(close + (in.mirrored ? end - 1 - x : x) * lanes));
            }
        }
    }
    for (; written < size; ++written) store(line + written * lanes, zeros());
}

template <int N>
void rows_in(const FftInput& in) {
    float* const first = in.scratch;
    float* const second = first + (N + lanes) * lanes;
    const auto read = [&](std::int64_t y, float* line) {  // false: there is nothing in row y of the tile
        if (y % in.row_spread != 0 || y / in.row_spread >= in.rows) return false;
        const std::int64_t at = in.top + y / in.row_spread;
        if (at < 0 || at >= in.height) return false;
        read_row(in, y / in.row_spread, N, line);
        return true;
    };
    const auto blank = [&](float* line) {
        for (std::int64_t x = 0; x < N; ++x) store(line + x * lanes, zeros());
    };
    for (std::int64_t y = 0; y < in.size; y += 2) {
        float* const a = in.half + y * N * lanes;
        float* const b = a + N * lanes;
        const bool has_first = read(y, first), has_second = read(y + 1, second);
        if (!has_first && !has_second) {
            blank(a), blank(b);
            continue;
        }
        if (!has_first) blank(first);
        if (!has_second) blank(second);
        Complex z[N];
        fourier<N>([&](int n) { return Complex{load(first + n * lanes), load(second + n * lanes)}; },
                   [&](int k, Complex x) { z[k] = x; });
        store_complex(a, {z[0].re + z[0].re, z[N / 2].re + z[N / 2].re});
        store_complex(b, {z[0].im + z[0].im, z[N / 2].im + z[N / 2].im});
        for (int k = 1; k < N / 2; ++k) {
            Complex of_first, of_second;
            separate(z[k], z[N - k], of_first, of_second);
            store_complex(a + 2 * k * lanes, of_first);
            store_complex(b + 2 * k * lanes, of_second);
        }
    }
}

// put(component, x) for all of them.
template <int N, typename Put>
STRIATE_INLINE void transform_columns(const float* half, std::int64_t columns, Put put) {
    const std::int64_t row = columns * lanes;
    const Floats once = all(0.5f);
    Complex z[N];
    fourier<N>([&](int n) { return load_complex(half + n * row); }, [&](int k, Complex x) { z[k] = x; });
    for (int k = 0; k <= N / 2; ++k) {
        Complex a, b;
        separate(z[k], z[k == 0 ? 0 : N - k], a, b);
        put(k, {a.re * once, a.im * once});
        put(N / 2 + 1 + k, {b.re * once, b.im * once});
    }
    for (std::int64_t column = 1; column < columns / 2; ++column) {
        const std::int64_t begin = 2 + column * N;
        fourier<N>([&](int n) { return load_complex(half + n * row + 2 * column * lanes); },
                   [&](int k, Complex x) { put(begin + k, x); });
    }
}

template <int N>
void columns_in(const float* half, std::int64_t columns, float* components, std::int64_t component) {
    transform_columns<N>(half, columns,
                         [&](std::int64_t at, Complex x) { store_complex(components + at * component, x); });
}

template <int N>
void columns_in_conjugate(const float* half, std::int64_t columns, float* components, std::int64_t component,
                          float scale) {
    const Floats re = all(scale), im = all(-scale);
    transform_columns<N>(half, columns, [&](std::int64_t at, Complex x) {
        store_complex(components + at * component, {x.re * re, x.im * im});
    });
}

// Inverse: re and im are exchanged on the way in and out.
template <int N>
void columns_out(const float* components, std::int64_t component, std::int64_t columns, float* half) {
    const std::int64_t row = columns * lanes;
    Complex z[N];  // A + i·B, exchanged; at N − k both are conjugates of those at k
    for (int k = 0; k <= N / 2; ++k) {
        const Complex a = load_complex(components + k * component);
        const Complex b = load_complex(components + (N / 2 + 1 + k) * component);
        if (k == 0 || k == N / 2) {  // real
            z[k] = {b.re, a.re};
        } else {
            z[k] = {a.im + b.re, a.re - b.im};
            z[N - k] = {b.re - a.im, a.re + b.im};
        }
    }
    fourier<N>([&](int n) { return z[n]; }, [&](int k, Complex x) { store_complex(half + k * row, {x.im, x.re}); });
    for (std::int64_t column = 1; column < columns / 2; ++column) {
        const float* from = components + (2 + column * N) * component;
        float* const to = half + 2 * column * lanes;
        fourier<N>(
            [&](int n) {
                const Complex x = load_complex(from + n * component);
                return Complex{x.im, x.re};
            },
            [&](int k, Complex x) { store_complex(to + k * row, {x.im, x.re}); });
    }
}

template <int N>
void rows_out(const FftOutput& out) {
    float* const first = out.scratch;
    float* const second = first + (N + lanes) * lanes;
    const Floats bias = load(out.bias);
    const auto write = [&](std::int64_t y, float* line) {
        if (y % out.row_spread != 0 || y / out.row_spread >= out.rows) return;
        for (std::int64_t x = 1; out.column_spread > 1 && x < out.columns; ++x) {
            store(line + x * lanes, load(line + x * out.column_spread * lanes));
        }
        const std::int64_t at = y / out.row_spread * out.strides.row;
        const Finish finish{bias, out.residual == nullptr ? nullptr : out.residual + at, out.relu};
        scatter_row(line, out.columns, out.maps, out.strides, finish, out.image + at);
    };
    for (std::int64_t y = 0; y <= (out.rows - 1) * out.row_spread; y += 2) {
        const float* const a = out.half + y * N * lanes;
        const float* const b = a + N * lanes;
        Complex z[N];  // A + i·B, exchanged
        z[0] = {load(b), load(a)}, z[N / 2] = {load(b + lanes), load(a + lanes)};
        for (int k = 1; k < N / 2; ++k) {
            const Complex of_first = load_complex(a + 2 * k * lanes), of_second = load_complex(b + 2 * k * lanes);
            z[k] = {of_first.im + of_second.re, of_first.re - of_second.im};
            z[N - k] = {of_second.re - of_first.im, of_first.re + of_second.im};
        }
        fourier<N>([&](int n) { return z[n]; },
                   [&](int k, Complex x) { store(first + k * lanes, x.im), store(second + k * lanes, x.re); });
        write(y, first);
        write(y + 1, second);
    }
}

template <int Rows>
void multiply_of(const FftProduct& p) {
    Floats re[Rows], im[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) re[r] = im[r] = zeros();
    const float *v = p.v, *u = p.u;
    for (std::int64_t begin = 0; begin < p.terms; begin += p.block_terms, v += p.v_block) {
        const std::int64_t count = smaller(p.block_terms, p.terms - begin);
        const float* term = v;
        for (std::int64_t i = 0; i < count; ++i, term += p.v_term, u += 2 * lanes) {
            __builtin_prefetch(u + ahead), __builtin_prefetch(u + ahead + lanes);
            const Floats u_re = load(u), u_im = load(u + lanes);
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
                const Floats spread = all(term[r * p.v_row]);
                re[r] = multiply_add(spread, u_re, re[r]);
                im[r] = multiply_add(spread, u_im, im[r]);
            }
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
                const Floats spread = all(term[r * p.v_row + lanes]);
                re[r] = minus_product(spread, u_im, re[r]);
                im[r] = multiply_add(spread, u_re, im[r]);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        float* const out = p.out + r * p.out_row;
        if (p.more) re[r] = re[r] + load(out), im[r] = im[r] + load(out + lanes);
        store(out, re[r]);
        store(out + lanes, im[r]);
    }
}

template <int Rows = tile_rows>
void multiply(const FftProduct& p) {
    if (p.rows == Rows) return multiply_of<Rows>(p);
    if constexpr (Rows > 1) multiply<Rows - 1>(p);
}

void multiply_lanes(const FftLanewise& p) {
    const Complex u = load_complex(p.u);
    for (std::int64_t t = 0; t < p.terms; ++t) {
        store_complex(p.out + t * 2 * lanes, load_complex(p.v + t * 2 * lanes) * u);
    }
}

void sum_lanes(const FftLanewise& p) {
    Complex sum = p.more ? load_complex(p.out) : Complex{zeros(), zeros()};
    for (std::int64_t t = 0; t < p.terms; ++t) {
        sum = sum + load_complex(p.v + t * 2 * lanes) * load_complex(p.u + t * 2 * lanes);
    }
    store_complex(p.out, sum);
}

}  // namespace

#define STRIATE_OF_EACH_SIZE(kernel) {kernel<8>, kernel<12>, kernel<16>, kernel<24>, kernel<32>, kernel<48>, kernel<64>}

const FftKernels fft_kernels = {.lanes = lanes,
                                .tile_rows = tile_rows,
                                .rows_in = STRIATE_OF_EACH_SIZE(rows_in),
                                .rows_out = STRIATE_OF_EACH_SIZE(rows_out),
                                .columns_in = STRIATE_OF_EACH_SIZE(columns_in),
                                .columns_in_conjugate = STRIATE_OF_EACH_SIZE(columns_in_conjugate),
                                .columns_out = STRIATE_OF_EACH_SIZE(columns_out),
                                .multiply = multiply<>,
                                .multiply_lanes = multiply_lanes,
                                .sum_lanes = sum_lanes};

}  // namespace striate::STRIATE_ISA_NAMESPACE

// The one-dimensional transforms Bᵀ d and Aᵀ z, a register for each number: every lane its own filter or map.
//
// The matrices are known when this is compiled, so the sums unroll into what is not zero. Points in pairs ±p halve the
// work: their rows of Bᵀ are an even part plus and minus an odd part, their columns of Aᵀ meet in sums and differences.
#pragma once

#include "simd/floats.h"
#include "winograd/points.h"

namespace striate::STRIATE_ISA_NAMESPACE {

template <int M>
struct Transform {
    static constexpr int size = M + 2;

    // The matrices in floats, and which points are pairs: rows[j] of a pair's second is its first, and the other way.
    struct Tables {
        float bt[size][size] = {}, at[M][size] = {};
        int partner[size] = {};    // of the first of a pair: the second; −1 for any other
        bool is_second[size] = {};
    };

    static constexpr Tables tables_of(const CookToom<M, 3>& exact) {
        Tables tables;
        for (int j = 0; j < size; ++j) {
            for (int i = 0; i < size; ++i) tables.bt[j][i] = static_cast<float>(exact.bt[j][i].value());
            for (int i = 0; i < M; ++i) tables.at[i][j] = static_cast<float>(exact.at[i][j].value());
            tables.partner[j] = -1;
            for (int other = j + 1; other < size - 1 && !tables.is_second[j]; ++other) {
                bool mirrored = true;
                for (int i = 0; i < size; ++i) {
                    mirrored &= exact.bt[other][i] == (i % 2 == 0 ? exact.bt[j][i] : -exact.bt[j][i]);
                }
                if (mirrored) tables.partner[j] = other, tables.is_second[other] = true;
            }
        }
        return tables;
    }

    static constexpr Tables tables = tables_of(Points<M>::matrices);

    // sum + coefficient · x, where `begun` says whether there is a sum yet.
    static inline __attribute__((always_inline)) Floats plus(Floats sum, bool begun, float coefficient, Floats x) {
        if (!begun) return coefficient == 1.0f ? x : x * all(coefficient);
        if (coefficient == 1.0f) return sum + x;
        if (coefficient == -1.0f) return sum - x;
        return multiply_add(all(coefficient), x, sum);
    }

    // out = Bᵀ in.
    static inline __attribute__((always_inline)) void input(const Floats (&in)[size], Floats (&out)[size]) {
        input_rows<0>(in, out);
    }

    // out = Aᵀ in.
    static inline __attribute__((always_inline)) void output(const Floats (&in)[size], Floats (&out)[M]) {
        Floats met[size];  // z_j, or for a pair its sum and its difference
        meet<0>(in, met);
        output_rows<0>(met, out);
    }

private:
    template <int J>
    static inline __attribute__((always_inline)) void input_rows(const Floats (&in)[size], Floats (&out)[size]) {
        if constexpr (J < size) {
            constexpr int other = tables.partner[J];
            if constexpr (other >= 0) {
                const Floats even = sum_of_row<J, 0, 2>(in, zeros(), Begun<false>{});
                const Floats odd = sum_of_row<J, 1, 2>(in, zeros(), Begun<false>{});
                out[J] = even + odd;
                out[other] = even - odd;
            } else if constexpr (!tables.is_second[J]) {
                out[J] = sum_of_row<J, 0, 1>(in, zeros(), Begun<false>{});
            }
            input_rows<J + 1>(in, out);
        }
    }

    template <bool>
    struct Begun {};

    // Σ bt[J][i] · in[i] over i = I, I + Step, …
    template <int J, int I, int Step, bool Has>
    static inline __attribute__((always_inline)) Floats sum_of_row(const Floats (&in)[size], Floats sum, Begun<Has>) {
        if constexpr (I >= size) {
            return sum;
        } else if constexpr (tables.bt[J][I] == 0.0f) {
            return sum_of_row<J, I + Step, Step>(in, sum, Begun<Has>{});
        } else {
            return sum_of_row<J, I + Step, Step>(in, plus(sum, Has, tables.bt[J][I], in[I]), Begun<true>{});
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void meet(const Floats (&in)[size], Floats (&met)[size]) {
        if constexpr (J < size) {
            constexpr int other = tables.partner[J];
            if constexpr (other >= 0) {
                met[J] = in[J] + in[other];
                met[other] = in[J] - in[other];
            } else if constexpr (!tables.is_second[J]) {
                met[J] = in[J];
            }
            meet<J + 1>(in, met);
        }
    }

    template <int I>
    static inline __attribute__((always_inline)) void output_rows(const Floats (&met)[size], Floats (&out)[M]) {
        if constexpr (I < M) {
            out[I] = sum_of_column<I, 0>(met, zeros(), Begun<false>{});
            output_rows<I + 1>(met, out);
        }
    }

    // Σ at[I][j] · met[j] over the points j from J on; an odd power of a pair takes the difference.
    template <int I, int J, bool Has>
    static inline __attribute__((always_inline)) Floats sum_of_column(const Floats (&met)[size], Floats sum,
                                                                      Begun<Has>) {
        if constexpr (J >= size) {
            return sum;
        } else if constexpr (tables.is_second[J] || tables.at[I][J] == 0.0f) {
            return sum_of_column<I, J + 1>(met, sum, Begun<Has>{});
        } else {
            constexpr int taken = tables.partner[J] >= 0 && I % 2 == 1 ? tables.partner[J] : J;
            return sum_of_column<I, J + 1>(met, plus(sum, Has, tables.at[I][J], met[taken]), Begun<true>{});
        }
    }
};

}  // namespace striate::STRIATE_ISA_NAMESPACE

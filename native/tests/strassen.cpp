// Strassen's product against sums in double: chosen and random sizes, strides, levels and epilogues, within Higham's
// bound, and nothing written beyond the workspace; and how its error grows with the levels.
//
//     striate_strassen [--isa NAME] [--shapes N] [--growth SIZE]
//
// --growth: for a square of that size, the largest error in units of 2⁻²⁴ max|A| max|B| for 0 to 3 levels, and the
// bound.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "memory/arena.h"
#include "strassen/strassen.h"

using namespace striate;

namespace {

std::vector<float> noise(std::mt19937& engine, std::int64_t count) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = uniform(engine);
    return values;
}

float largest(const std::vector<float>& values) {
    float most = 0;
    for (const float value : values) most = std::max(most, std::fabs(value));
    return most;
}

std::vector<float> product(const Gemm& given, int levels, Isa isa, int threads, std::int64_t floats, bool& kept) {
    std::vector<float> c(static_cast<std::size_t>(floats), 9.0f);
    Gemm g = given;
    g.c = c.data();
    const std::int64_t size = strassen_workspace(g.m, g.n, g.k, levels, isa, threads);
    constexpr std::int64_t guard = 1 << 19;  // as wide as what a product packs: panels begin and end anywhere in it
    constexpr float canary = 12345.0f;
    const Floats64 workspace = aligned_floats(size + guard);
    float* const end = workspace.get() + size;
    std::fill_n(workspace.get(), size, NAN);
    std::fill_n(end, guard, canary);
    strassen(g, levels, workspace.get(), isa, threads);
    kept = kept && std::all_of(end, end + guard, [&](float value) { return value == canary; });
    return c;
}

std::int64_t in(std::mt19937& engine, std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine);
}

struct Size {
    std::int64_t m, n, k;
    int levels;
};

// Sides that are shorter than 2^levels: gemm's whole product, which takes more than its strips' workspace.
constexpr Size chosen_sizes[] = {{7, 3, 131072, 2}, {3, 7, 131072, 2}, {1, 40, 70000, 3}};

Size random_size(std::mt19937& engine, int number) {
    const std::int64_t m = in(engine, 1, 150), n = in(engine, 1, 150);
    return {m, n, number % 8 == 0 ? in(engine, 500, 1100) : in(engine, 1, 150), static_cast<int>(in(engine, 0, 3))};
}

bool check(std::mt19937& engine, Isa isa, const Size& size) {
    const auto [m, n, k, levels] = size;
    const std::vector<float> a = noise(engine, 2 * m * k), b = noise(engine, 2 * k * n);
    const auto stored = [&](const float* data, std::int64_t rows, std::int64_t columns) -> Matrix {
        const std::int64_t how = in(engine, 0, 2);
        return how == 0 ? Matrix{data, columns, 1} : how == 1 ? Matrix{data, 1, rows} : Matrix{data, 2 * columns, 2};
    };
    Gemm g{.m = m,
           .n = n,
           .k = k,
           .a = stored(a.data(), m, k),
           .b = stored(b.data(), k, n),
           .c = nullptr,
           .c_row = n + in(engine, 0, 3)};
    const std::vector<float> rows = noise(engine, m), columns = noise(engine, n), residual = noise(engine, m * g.c_row);
    if (in(engine, 0, 1) == 1) g.epilogue.row_bias = rows.data();
    if (in(engine, 0, 1) == 1) g.epilogue.column_bias = columns.data();
    if (in(engine, 0, 1) == 1) g.epilogue.residual = residual.data();
    g.epilogue.relu = in(engine, 0, 1) == 1;
    bool good = true;
    const std::vector<float> c = product(g, levels, isa, 1, m * g.c_row, good);
    for (const int threads : {2, 3}) {
        const bool same = c == product(g, levels, isa, threads, m * g.c_row, good);
        good = good && same;
    }
    const double bound = 0x1p-24 * (strassen_error_bound(k, levels) + 10) * largest(a) * largest(b);
    for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < g.c_row; ++j) {
            const auto at = static_cast<std::size_t>(i * g.c_row + j);
            double sum = 0;
            if (j >= n) {
                good = good && c[at] == 9.0f;
                continue;
            }
            for (std::int64_t p = 0; p < k; ++p) {
                sum += static_cast<double>(g.a.data[i * g.a.row + p * g.a.column]) *
                       g.b.data[p * g.b.row + j * g.b.column];
            }
            if (g.epilogue.row_bias != nullptr) sum += rows[static_cast<std::size_t>(i)];
            if (g.epilogue.column_bias != nullptr) sum += columns[static_cast<std::size_t>(j)];
            if (g.epilogue.residual != nullptr) sum += residual[at];
            if (g.epilogue.relu && sum < 0) sum = 0;
            good = good && std::fabs(c[at] - sum) <= bound;
        }
    }
    if (!good) {
        std::printf("FAIL %s: %ld × %ld × %ld, %d levels\n", name(isa), static_cast<long>(m), static_cast<long>(n),
                    static_cast<long>(k), levels);
    }
    return good;
}

void growth(std::int64_t size, Isa isa) {
    std::mt19937 engine(1);
    const std::vector<float> a = noise(engine, size * size), b = noise(engine, size * size);
    const std::int64_t step = std::max<std::int64_t>(size / 128, 1);  // rows that are compared
    std::vector<double> exact;
    for (std::int64_t i = 0; i < size; i += step) {
        std::vector<double> row(static_cast<std::size_t>(size));
        for (std::int64_t p = 0; p < size; ++p) {
            const double x = a[static_cast<std::size_t>(i * size + p)];
            for (std::int64_t j = 0; j < size; ++j)
                row[static_cast<std::size_t>(j)] += x * b[static_cast<std::size_t>(p * size + j)];
        }
        exact.insert(exact.end(), row.begin(), row.end());
    }
    for (int levels = 0; levels <= 3; ++levels) {
        bool kept = true;
        const std::vector<float> c = product({.m = size,
                                              .n = size,
                                              .k = size,
                                              .a = {a.data(), size, 1},
                                              .b = {b.data(), size, 1},
                                              .c = nullptr,
                                              .c_row = size},
                                             levels, isa, 2, size * size, kept);
        double most = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) {
            const auto at = i / static_cast<std::size_t>(size) * static_cast<std::size_t>(step * size) +
                            i % static_cast<std::size_t>(size);
            most = std::max(most, std::fabs(c[at] - exact[i]));
        }
        std::printf("%ld squared, %d levels: largest error %.1f, bound %.3g\n", static_cast<long>(size), levels,
                    most * 0x1p24, strassen_error_bound(size, levels));
    }
}

}  // namespace

int main(int count, char** words) {
    std::vector<Isa> isas = available_isas();
    int shapes = 200;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string word = words[i];
        if (word == "--isa") isas = {isa_named(words[i + 1], word)};
        if (word == "--shapes") shapes = std::atoi(words[i + 1]);
        if (word == "--growth") return growth(std::atoll(words[i + 1]), isas.back()), 0;
    }
    int passed = 0, failed = 0;
    for (const Isa isa : isas) {
        std::mt19937 engine(1);
        const auto count = [&](const Size& size) { (check(engine, isa, size) ? passed : failed) += 1; };
        for (const Size& size : chosen_sizes) count(size);
        for (int i = 0; i < shapes; ++i) count(random_size(engine, i));
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}

// Products of matrices: C = A B or C += A B, computed by one thread.
//
// The scheme is that of Goto & van de Geijn 2008: a panel of B, as wide as two vectors and no
// longer than the first cache takes, is packed; tiles of C stay in registers while a row of the
// panel and a column of A are multiplied. A is read where it lies. Included as `simd.hpp` is.
#pragma once

// A matrix whose element (i, j) is data[i * row + j * column]; one of the two strides is 1.
template <class T>
struct Matrix {
    const T* data;
    size_t row, column;
    Matrix transposed() const { return {data, column, row}; }
    Matrix below(size_t i) const { return {data + i * row, row, column}; }
    Matrix right(size_t j) const { return {data + j * column, row, column}; }
};

// What the rows and columns of B are multiplied by while it is packed: diag(rows) B diag(columns).
template <class T>
struct Scales {
    const T *rows = nullptr, *columns = nullptr;
    explicit operator bool() const { return rows != nullptr; }
    Scales transposed() const { return {columns, rows}; }
    Scales from(size_t i, size_t j) const { return rows ? Scales{rows + i, columns + j} : *this; }
};

constexpr size_t kTileRows = kRegisters == 32 ? 12 : 6;
constexpr size_t kTileVectors = 2;
constexpr size_t kDepth = 256;  // rows of a panel

template <class T>
constexpr size_t packed_size() {
    return kDepth * kTileVectors * Simd<T>::lanes;
}

// A tile of `Rows` rows and `Vectors` vectors: c = bias + a panel, or c += a panel. The rows of the
// panel are `step` apart.
template <class T, size_t Rows, size_t Vectors>
void tile(size_t depth, Matrix<T> a, const T* panel, size_t step, T* c, size_t ldc, size_t width,
          bool adds, const T* bias) {
    using S = Simd<T>;
    constexpr size_t lanes = S::lanes;
    typename S::Vector sum[Rows][Vectors] = {};
    const T* left = a.data;
    for (size_t p = 0; p < depth; ++p, left += a.column, panel += step) {
        typename S::Vector right[Vectors];
#pragma GCC unroll 4
        for (size_t v = 0; v < Vectors; ++v) right[v] = S::load(panel + v * lanes);
#pragma GCC unroll 16
        for (size_t i = 0; i < Rows; ++i) {
            const T value = left[i * a.row];
#pragma GCC unroll 4
            for (size_t v = 0; v < Vectors; ++v) sum[i][v] += value * right[v];
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < Vectors; ++v, c += lanes) {
        const bool whole = width >= (v + 1) * lanes;
        const size_t part = whole ? lanes : width - v * lanes;
        typename S::Vector more = {};
        if (bias) more = whole ? S::load(bias + v * lanes) : S::load_part(bias + v * lanes, part);
#pragma GCC unroll 16
        for (size_t i = 0; i < Rows; ++i) {
            T* to = c + i * ldc;
            if (whole)
                S::store(to, sum[i][v] + (adds ? S::load(to) : more));
            else
                S::store_part(to, sum[i][v] + (adds ? S::load_part(to, part) : more), part);
        }
    }
}

// The tile of so many rows.
template <class T, size_t Vectors, size_t Rows = kTileRows, class... Rest>
void tile_of(size_t rows, Rest... rest) {
    if constexpr (Rows > 0) {
        if (rows == Rows) return tile<T, Rows, Vectors>(rest...);
        tile_of<T, Vectors, Rows - 1>(rows, rest...);
    }
}

// Copy `width` columns of B side by side, filled up with zeros to `padded`.
template <class T>
void pack(Matrix<T> b, size_t depth, size_t width, size_t padded, T* panel) {
    using S = Simd<T>;
    const size_t whole = width / S::lanes * S::lanes, part = width - whole;
    if (b.column == 1) {
        for (size_t p = 0; p < depth; ++p, panel += padded) {
            const T* from = b.data + p * b.row;
            for (size_t j = 0; j < whole; j += S::lanes) S::store(panel + j, S::load(from + j));
            if (part) S::store(panel + whole, S::load_part(from + whole, part));
        }
        return;
    }
    if (part)
        for (size_t p = 0; p < depth; ++p)
            S::store(panel + p * padded + whole, typename S::Vector{});
    for (size_t j = 0; j < width; ++j) {
        const T* from = b.data + j * b.column;
        for (size_t p = 0; p < depth; ++p) panel[p * padded + j] = from[p];
    }
}

// `pack` of a matrix that lies by rows, and is scaled.
template <class T>
void pack_scaled(Matrix<T> b, Scales<T> scales, size_t depth, size_t width, size_t padded,
                 T* panel) {
    using S = Simd<T>;
    for (size_t j = 0; j < width; j += S::lanes) {
        const size_t part = std::min(S::lanes, width - j);
        const T *from = b.data + j, *factors = scales.columns + j;
        if (part == S::lanes) {
            const typename S::Vector columns = S::load(factors);
            for (size_t p = 0; p < depth; ++p)
                S::store(panel + p * padded + j,
                         S::load(from + p * b.row) * (columns * scales.rows[p]));
        } else {
            const typename S::Vector columns = S::load_part(factors, part);
            for (size_t p = 0; p < depth; ++p)
                S::store(panel + p * padded + j,
                         S::load_part(from + p * b.row, part) * (columns * scales.rows[p]));
        }
    }
}

// The product of few rows with a large matrix, which is read once and in the order of its memory.
template <class T>
void product_of_few(size_t m, size_t n, size_t depth, Matrix<T> a, Matrix<T> b, T* c, size_t ldc) {
    for (size_t i = 0; i < m; ++i, c += ldc) {
        const T* left = a.data + i * a.row;
        if (b.column == 1)
            for (size_t p = 0; p < depth; ++p)
                add_scaled(n, left[p * a.column], b.data + p * b.row, c);
        else if (a.column == 1)
            for (size_t j = 0; j < n; ++j) c[j] += dot(left, b.data + j * b.column, depth);
        else
            for (size_t j = 0; j < n; ++j)
                for (size_t p = 0; p < depth; ++p)
                    c[j] += left[p * a.column] * b.data[p + j * b.column];
    }
}

constexpr size_t kFew = 3, kLarge = 8192;

// C (m x n, rows ldc apart) = bias + A B, or += A B where `adds`; A is (m, depth), B is (depth, n);
// a bias of n values is the same for all rows. `panel` is memory for packed_size<T>() values. A B
// that is scaled lies by rows.
template <class T>
void product(size_t m, size_t n, size_t depth, Matrix<T> a, Matrix<T> b, T* c, size_t ldc,
             bool adds, T* panel, const T* bias = nullptr, Scales<T> scales = {}) {
    constexpr size_t lanes = Simd<T>::lanes, full = kTileVectors * lanes;
    if (!scales && (m == 1 || depth == 0 || (m <= kFew && n * depth > kLarge))) {
        for (size_t i = 0; i < m && !adds; ++i)
            if (bias)
                std::copy(bias, bias + n, c + i * ldc);
            else
                std::fill(c + i * ldc, c + i * ldc + n, T(0));
        return product_of_few(m, n, depth, a, b, c, ldc);
    }
    for (size_t p = 0; p < depth; p += kDepth, adds = true, bias = nullptr) {
        const size_t deep = std::min(kDepth, depth - p);
        for (size_t j = 0; j < n; j += full) {
            const size_t width = std::min(full, n - j);
            const bool narrow = width <= lanes;
            const Matrix<T> right = b.below(p).right(j);
            // what few tiles use, and what is whole vectors, is used where it lies
            const bool in_place = !scales && b.column == 1 && m <= 2 * kTileRows &&
                                  (width == full || width == lanes);
            const T* from = in_place ? right.data : panel;
            const size_t step = in_place ? b.row : narrow ? lanes : full;
            if (scales)
                pack_scaled(right, scales.from(p, j), deep, width, step, panel);
            else if (!in_place)
                pack(right, deep, width, step, panel);
            const T* own_bias = bias ? bias + j : nullptr;
            for (size_t i = 0; i < m; i += kTileRows) {
                const size_t rows = std::min(kTileRows, m - i);
                const Matrix<T> left = a.below(i).right(p);
                T* to = c + i * ldc + j;
                if (narrow)
                    tile_of<T, 1>(rows, deep, left, from, step, to, ldc, width, adds, own_bias);
                else
                    tile_of<T, kTileVectors>(rows, deep, left, from, step, to, ldc, width, adds,
                                             own_bias);
            }
        }
    }
}

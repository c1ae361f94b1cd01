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

constexpr size_t kTileRows = kRegisters == 32 ? 12 : 6;
constexpr size_t kTileVectors = 2;
constexpr size_t kDepth = 256;  // rows of a panel

template <class T>
constexpr size_t packed_size() {
    return kDepth * kTileVectors * Simd<T>::lanes;
}

// A tile of `Rows` rows and `Vectors` vectors: c = a panel, or c += a panel.
template <class T, size_t Rows, size_t Vectors>
void tile(size_t depth, Matrix<T> a, const T* panel, T* c, size_t ldc, size_t width, bool add) {
    using S = Simd<T>;
    constexpr size_t lanes = S::lanes;
    typename S::Vector sum[Rows][Vectors] = {};
    const T* left = a.data;
    for (size_t p = 0; p < depth; ++p, left += a.column, panel += Vectors * lanes) {
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
    if (width == Vectors * lanes) {
#pragma GCC unroll 16
        for (size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
            for (size_t v = 0; v < Vectors; ++v) {
                T* to = c + i * ldc + v * lanes;
                S::store(to, add ? S::load(to) + sum[i][v] : sum[i][v]);
            }
        return;
    }
    alignas(64) T rows[Rows][Vectors * lanes];
#pragma GCC unroll 16
    for (size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (size_t v = 0; v < Vectors; ++v) S::store(&rows[i][v * lanes], sum[i][v]);
    for (size_t i = 0; i < Rows; ++i)
        for (size_t j = 0; j < width; ++j) c[i * ldc + j] = rows[i][j] + (add ? c[i * ldc + j] : T(0));
}

template <class T, size_t Rows, size_t Vectors>
void tile_of(size_t rows, size_t depth, Matrix<T> a, const T* panel, T* c, size_t ldc, size_t width, bool add) {
    if constexpr (Rows > 0) {
        if (rows == Rows) return tile<T, Rows, Vectors>(depth, a, panel, c, ldc, width, add);
        tile_of<T, Rows - 1, Vectors>(rows, depth, a, panel, c, ldc, width, add);
    }
}

// Copy `width` columns of B side by side, filled up with zeros to `padded`.
template <class T>
void pack(Matrix<T> b, size_t depth, size_t width, size_t padded, T* panel) {
    if (b.column == 1) {
        for (size_t p = 0; p < depth; ++p, panel += padded) {
            const T* from = b.data + p * b.row;
            if (width == padded) {
                for (size_t j = 0; j < padded; j += Simd<T>::lanes)
                    Simd<T>::store(panel + j, Simd<T>::load(from + j));
            } else {
                for (size_t j = 0; j < width; ++j) panel[j] = from[j];
                for (size_t j = width; j < padded; ++j) panel[j] = T(0);
            }
        }
        return;
    }
    for (size_t p = 0; p < depth; ++p)
        for (size_t j = width; j < padded; ++j) panel[p * padded + j] = T(0);
    for (size_t j = 0; j < width; ++j) {
        const T* from = b.data + j * b.column;
        for (size_t p = 0; p < depth; ++p) panel[p * padded + j] = from[p];
    }
}

// The product of few rows, where packing would not pay.
template <class T>
void product_of_few(size_t m, size_t n, size_t depth, Matrix<T> a, Matrix<T> b, T* c, size_t ldc) {
    for (size_t i = 0; i < m; ++i, c += ldc) {
        const T* left = a.data + i * a.row;
        if (b.column == 1)
            for (size_t p = 0; p < depth; ++p) add_scaled(n, left[p * a.column], b.data + p * b.row, c);
        else if (a.column == 1)
            for (size_t j = 0; j < n; ++j) c[j] += dot(left, b.data + j * b.column, depth);
        else
            for (size_t j = 0; j < n; ++j)
                for (size_t p = 0; p < depth; ++p) c[j] += left[p * a.column] * b.data[p + j * b.column];
    }
}

constexpr size_t kFew = 3;

// C (m x n, rows ldc apart) = A B, or += where `adds`; A is (m, depth), B is (depth, n). `panel` is
// memory for packed_size<T>() values.
template <class T>
void product(size_t m, size_t n, size_t depth, Matrix<T> a, Matrix<T> b, T* c, size_t ldc, bool adds, T* panel) {
    constexpr size_t lanes = Simd<T>::lanes, full = kTileVectors * lanes;
    if (m <= kFew || depth == 0) {
        if (!adds)
            for (size_t i = 0; i < m; ++i) std::fill(c + i * ldc, c + i * ldc + n, T(0));
        return product_of_few(m, n, depth, a, b, c, ldc);
    }
    for (size_t p = 0; p < depth; p += kDepth) {
        const size_t deep = std::min(kDepth, depth - p);
        for (size_t j = 0; j < n; j += full) {
            const size_t width = std::min(full, n - j);
            const bool narrow = width <= lanes;
            pack(b.below(p).right(j), deep, width, narrow ? lanes : full, panel);
            for (size_t i = 0; i < m; i += kTileRows) {
                const size_t rows = std::min(kTileRows, m - i);
                const Matrix<T> left = a.below(i).right(p);
                T* to = c + i * ldc + j;
                if (narrow)
                    tile_of<T, kTileRows, 1>(rows, deep, left, panel, to, ldc, width, adds || p);
                else
                    tile_of<T, kTileRows, kTileVectors>(rows, deep, left, panel, to, ldc, width, adds || p);
            }
        }
    }
}

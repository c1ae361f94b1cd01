// Python's objects for C++: attributes, buffers, errors and the interpreter's lock.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "plan.hpp"

namespace sklmlp {

struct PythonError {};  // one that Python knows of already

struct Object {
    PyObject* p;
    explicit Object(PyObject* p) : p(p) {
        if (!p) throw PythonError();
    }
    ~Object() { Py_DECREF(p); }
    Object(const Object&) = delete;
    bool is_none() const { return p == Py_None; }
};

// Attributes of a Python object.
struct Reader {
    PyObject* of;

    PyObject* get(const char* name) const { return PyObject_GetAttrString(of, name); }
    double real(const char* name) const {
        Object value(get(name));
        const double x = PyFloat_AsDouble(value.p);
        if (x == -1 && PyErr_Occurred()) throw PythonError();
        return x;
    }
    long long integer(const char* name) const {
        Object value(get(name));
        const long long x = PyLong_AsLongLong(value.p);
        if (x == -1 && PyErr_Occurred()) throw PythonError();
        return x;
    }
    size_t count(const char* name) const {
        const long long x = integer(name);
        if (x < 0) throw std::invalid_argument(std::string(name) + " is negative");
        return size_t(x);
    }
    size_t offset(const char* name) const {  // None: nowhere
        return Object(get(name)).is_none() ? kNone : count(name);
    }
    bool truth(const char* name) const {
        Object value(get(name));
        const int x = PyObject_IsTrue(value.p);
        if (x < 0) throw PythonError();
        return x;
    }
    std::vector<double> reals(const char* name) const {
        Object value(get(name)), tuple(PySequence_Tuple(value.p));
        std::vector<double> all;
        for (Py_ssize_t i = 0; i < PyTuple_Size(tuple.p); ++i) {
            all.push_back(PyFloat_AsDouble(PyTuple_GetItem(tuple.p, i)));
            if (PyErr_Occurred()) throw PythonError();
        }
        return all;
    }
    void set(const char* name, PyObject* value) const {
        Object owned(value);
        if (PyObject_SetAttrString(of, name, owned.p) < 0) throw PythonError();
    }
};

// Contiguous memory of a Python object; nothing for None.
class Buffer {
  public:
    // Kinds: 'f' float32, 'd' float64, 'q' int64, 'i' int32, 'B' bytes.
    Buffer(PyObject* object, const char* name, char kind, bool writable,
           int layout = PyBUF_C_CONTIGUOUS) {
        if (object == Py_None) return;
        const int flags = PyBUF_FORMAT | layout | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object, &view_, flags) < 0) throw PythonError();
        held_ = true;
        const char* format = view_.format ? view_.format : "B";
        const bool is_long = (*format == 'l' || *format == 'q') && view_.itemsize == 8;
        const bool fits = kind == 'q'   ? is_long
                          : kind == 'i' ? (*format == 'i' || *format == 'l') && view_.itemsize == 4
                                        : *format == kind;
        if (!fits || format[1] != 0) {
            const std::string got = format;
            PyBuffer_Release(&view_);
            throw std::invalid_argument(std::string(name) + " has format '" + got +
                                        "', expected '" + kind + "'");
        }
    }
    Buffer(const Reader& from, const char* name, char kind, bool writable,
           int layout = PyBUF_C_CONTIGUOUS)
        : Buffer(Object(from.get(name)).p, name, kind, writable, layout) {}
    ~Buffer() {
        if (held_) PyBuffer_Release(&view_);
    }
    Buffer(const Buffer&) = delete;

    bool held() const { return held_; }
    size_t size() const { return held_ ? size_t(view_.len / view_.itemsize) : 0; }
    void expect(const char* name, size_t n) const {
        if (size() != n)
            throw std::invalid_argument(std::string(name) + " holds " + std::to_string(size()) +
                                        " values, expected " + std::to_string(n));
    }
    // Take the array for dense rows; its strides may be any multiples of an item.
    void set_strides(Rows& rows, size_t width) const {
        if (view_.ndim != 2 || size_t(view_.shape[0]) != rows.n || size_t(view_.shape[1]) != width)
            throw std::invalid_argument("x is not of shape (n_rows, n_features)");
        const Py_ssize_t row = view_.strides[0], column = view_.strides[1];
        if (row < 0 || column < 0 || row % view_.itemsize || column % view_.itemsize)
            throw std::invalid_argument(
                "x has strides that are negative or no multiples of an item");
        rows.row_stride = size_t(row / view_.itemsize),
        rows.column_stride = size_t(column / view_.itemsize);
    }
    template <class T = void>
    T* as() const {
        return held_ ? static_cast<T*>(view_.buf) : nullptr;
    }

  private:
    Py_buffer view_{};
    bool held_ = false;
};

// Run `body`, which gives a new reference, and turn what it throws into a Python error.
template <class Body>
PyObject* guarded(Body&& body) {
    try {
        return body();
    } catch (const PythonError&) {
    } catch (const std::invalid_argument& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

// Run `body` without the interpreter's lock; the first thing that it throws goes on after.
template <class Body>
void without_lock(Body&& body) {
    std::exception_ptr thrown;
    Py_BEGIN_ALLOW_THREADS try { body(); } catch (...) {
        thrown = std::current_exception();
    }
    Py_END_ALLOW_THREADS if (thrown) std::rethrow_exception(thrown);
}

}  // namespace sklmlp

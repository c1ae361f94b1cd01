// The Python module: plain values and buffers in, engine out. Reads attributes of the objects that
// sklmlp/native/*.py describe.
#include "python.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "pace.hpp"
#include "plan.hpp"

using namespace sklmlp;

namespace {

const Engine* engine = &baseline_engine;
const char* instruction_set = "baseline";

void choose_engine(const std::string& name) {
    engine = &baseline_engine, instruction_set = "baseline";
#ifdef SKLMLP_X86
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 =
        has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (has_avx2 && name != "baseline") engine = &avx2_engine, instruction_set = "avx2";
    if (has_avx512 && name != "baseline" && name != "avx2")
        engine = &avx512_engine, instruction_set = "avx512";
#endif
}

size_t threads(long long n) { return size_t(n < 1 ? 1 : n > 256 ? 256 : n); }

Layer layer_of(const Reader& from, bool is_hidden) {
    Layer layer;
    layer.is_hidden = is_hidden;
    layer.width = from.count("width");
    layer.coefs = {from.offset("coefs"), from.count("fan_in"), from.count("units"),
                   from.truth("is_stored_transposed")};
    layer.intercepts = from.offset("intercepts");
    if (!is_hidden) return layer;
    layer.scales_in = from.offset("scales_in"), layer.scales_out = from.offset("scales_out");
    layer.activation = int(from.integer("activation_number"));
    layer.arguments = from.reals("argument_values");
    layer.slopes = from.offset("slopes"), layer.n_slopes = from.count("n_slopes");
    const long long normalization = from.integer("normalization"), skip = from.integer("skip");
    if (normalization < 0 || normalization > 3 || skip < 0 || skip > 2)
        throw std::invalid_argument("unknown normalization or skip");
    layer.normalization = Normalization(normalization), layer.skip = Skip(skip);
    layer.epsilon = from.real("epsilon"), layer.momentum = from.real("momentum");
    layer.scale = from.offset("scale"), layer.shift = from.offset("shift");
    layer.mean = from.offset("mean"), layer.variance = from.offset("variance");
    layer.dropout = from.real("dropout");
    if (layer.skip == Skip::projection)
        layer.projection = {from.offset("projection"), layer.coefs.fan_in, layer.width, true};
    return layer;
}

void read_members(Plan& plan, const Reader& from) {
    plan.n_members = from.count("n_members");
    plan.average = Average(int(from.integer("average_number")));
    Object object(from.get("front"));
    if (object.is_none()) return;
    const Reader front{object.p};
    plan.front = {front.count("n_numbers"),    front.count("n_bins"),   front.count("size"),
                  front.count("n_categories"), front.count("n_levels"), front.offset("weight"),
                  front.offset("bias"),        front.offset("bins"),    front.offset("vectors"),
                  front.offset("left"),        front.offset("per_width"),
                  front.offset("first")};
}

// Parts of Muon: four numbers each, which follow each other from 0 to n_parameters.
std::vector<Part> parts_of(const std::vector<double>& values, size_t n_parameters) {
    std::vector<Part> parts;
    size_t offset = 0;
    for (size_t i = 0; i + 3 < values.size(); i += 4) {
        parts.push_back({size_t(values[i]), size_t(values[i + 1]), size_t(values[i + 2]),
                         values[i + 3]});
        if (values[i] != double(offset)) break;
        offset += parts.back().size();
    }
    if (offset != n_parameters)
        throw std::invalid_argument("parts do not follow each other up to n_parameters");
    return parts;
}

constexpr const char* kPlan = "sklmlp.native.plan";

PyObject* make_plan(PyObject*, PyObject* object) {
    return guarded([&] {
        const Reader from{object};
        auto plan = std::make_unique<Plan>();
        plan->is_double = from.truth("is_double");
        plan->n_features = from.count("n_features"), plan->n_outputs = from.count("n_outputs");
        plan->n_targets = from.count("n_targets");
        plan->n_parameters = from.count("n_parameters"), plan->n_coefs = from.count("n_coefs");
        plan->n_buffers = from.count("n_buffers");
        plan->loss = int(from.integer("loss_number")),
        plan->loss_arguments = from.reals("loss_argument_values");
        Object layers(from.get("layers")), all(PySequence_Tuple(layers.p));
        const Py_ssize_t n = PyTuple_Size(all.p);
        for (Py_ssize_t l = 0; l < n; ++l)
            plan->layers.push_back(layer_of({PyTuple_GetItem(all.p, l)}, l + 1 < n));
        read_members(*plan, from);
        plan->check();
        PyObject* capsule = PyCapsule_New(plan.get(), kPlan, [](PyObject* capsule) {
            delete static_cast<Plan*>(PyCapsule_GetPointer(capsule, kPlan));
        });
        if (capsule) plan.release();
        return capsule;
    });
}

const Plan& plan_of(PyObject* capsule) {
    const void* plan = PyCapsule_GetPointer(capsule, kPlan);
    if (!plan) throw PythonError();
    return *static_cast<const Plan*>(plan);
}

// Rows of a Python object with x, or values, indices and indptr; y and weight where asked for.
struct RowsOf {
    Rows rows;
    Buffer x, values, indptr, indices, y, weight;

    RowsOf(const Plan& plan, const Reader& from, bool with_targets)
        : x(from, "x", plan.is_double ? 'd' : 'f', false, PyBUF_STRIDES),
          values(from, "values", plan.is_double ? 'd' : 'f', false),
          indptr(from, "indptr", from.truth("has_long_indices") ? 'q' : 'i', false),
          indices(from, "indices", from.truth("has_long_indices") ? 'q' : 'i', false),
          y(with_targets ? Object(from.get("y")).p : Py_None, "y",
            plan.n_targets == 0 ? 'q'
            : plan.is_double    ? 'd'
                                : 'f',
            false),
          weight(with_targets ? Object(from.get("weight")).p : Py_None, "weight", 'd', false) {
        rows.n = from.count("n_rows");
        rows.has_long_indices = from.truth("has_long_indices");
        if (x.held()) {
            x.set_strides(rows, plan.n_features);
        } else {
            if (!values.held() || !indices.held())
                throw std::invalid_argument("rows have neither x nor values and indices");
            indptr.expect("indptr", rows.n + 1);
            indices.expect("indices", values.size());
            if (plan.layers[0].skip != Skip::none || plan.n_members)
                throw std::invalid_argument(
                    "sparse rows go neither into a residual layer nor to members");
            if (rows.has_long_indices)
                check_indices<int64_t>(plan);
            else
                check_indices<int32_t>(plan);
            rows.indptr = indptr.as(), rows.indices = indices.as();
        }
        rows.dense = x.as(), rows.values = values.as(), rows.y = y.as(),
        rows.weight = weight.as<double>();
        if (!with_targets) return;
        y.expect("y", rows.n * (plan.n_targets ? plan.n_targets : 1));
        if (weight.held()) weight.expect("weight", rows.n);
        if (plan.n_targets == 0) {
            const int64_t* index = y.as<int64_t>();
            for (size_t i = 0; i < rows.n; ++i)
                if (index[i] < 0 || size_t(index[i]) >= plan.n_outputs)
                    throw std::invalid_argument("y has an index that is no class");
        }
    }

    template <class I>
    void check_indices(const Plan& plan) const {
        const I *p = indptr.as<I>(), *column = indices.as<I>();
        bool fits = p[0] == 0 && size_t(p[rows.n]) <= indices.size();
        for (size_t i = 0; i < rows.n; ++i) fits = fits && p[i] <= p[i + 1];
        for (size_t q = 0; fits && q < size_t(p[rows.n]); ++q)
            fits = column[q] >= 0 && size_t(column[q]) < plan.n_features;
        if (!fits) throw std::invalid_argument("indices of sparse rows are out of range");
    }
};

bool is_interrupted() {
    const PyGILState_STATE state = PyGILState_Ensure();
    const bool raised = PyErr_CheckSignals() < 0;
    PyGILState_Release(state);
    return raised;
}

// train(plan, state, rows, settings): see sklmlp/native/training.py.
PyObject* train(PyObject*, PyObject* arguments) {
    PyObject *capsule, *state_, *rows_, *settings_;
    if (!PyArg_ParseTuple(arguments, "OOOO", &capsule, &state_, &rows_, &settings_)) return nullptr;
    return guarded([&]() -> PyObject* {
        const Plan& plan = plan_of(capsule);
        const Reader state{state_}, settings{settings_};
        const char kind = plan.is_double ? 'd' : 'f';
        RowsOf rows(plan, {rows_}, true);
        Training run;
        run.plan = &plan;
        run.rows = rows.rows;

        Options& o = run.options;
        const long long solver = settings.integer("solver");
        if (solver < 0 || solver > 3) throw std::invalid_argument("unknown solver");
        o.solver = Solver(solver);
        if (o.solver == Solver::muon) {
            if (!plan.n_members) throw std::invalid_argument("muon trains networks with members");
            o.parts = parts_of(settings.reals("parts"), plan.n_parameters);
        }
        o.beta_1 = settings.real("beta_1"), o.beta_2 = settings.real("beta_2"),
        o.epsilon = settings.real("epsilon");
        o.weight_decay = settings.real("weight_decay"), o.momentum = settings.real("momentum"),
        o.nesterov = settings.truth("nesterov");
        o.alpha = settings.real("alpha"), o.max_grad_norm = settings.real("max_grad_norm");
        o.power_t = settings.real("power_t"),
        o.learning_rate_init = settings.real("learning_rate_init");

        Buffer flat(state, "flat", kind, true), m(state, "first_moment", kind, true),
            v(state, "second_moment", kind, true);
        Buffer buffers(state, "buffers", kind, true), order(state, "order", 'q', true);
        flat.expect("flat", plan.n_parameters);
        const bool has_m = o.solver != Solver::sgd || o.momentum != 0;
        m.expect("first_moment", has_m ? plan.n_parameters : 0);
        v.expect("second_moment", o.solver != Solver::sgd ? plan.n_parameters : 0);
        if (plan.n_buffers) buffers.expect("buffers", plan.n_buffers);
        run.flat = flat.as(), run.first_moment = m.as(), run.second_moment = v.as(),
        run.buffers = buffers.as();
        run.n = run.rows.n;
        if (order.held()) {
            run.order = order.as<int64_t>(), run.n = order.size();
            for (size_t i = 0; i < run.n; ++i)
                if (run.order[i] < 0 || size_t(run.order[i]) >= run.rows.n)
                    throw std::invalid_argument("order has an index that is no row");
        }
        if (run.n == 0) throw std::invalid_argument("there are no rows to train on");

        run.batch_size = std::min(settings.count("batch_size"), run.n);
        run.n_shards = settings.count("n_shards"), run.n_threads = settings.count("n_threads");
        if (!run.batch_size || !run.n_shards || run.n_shards > 256)
            throw std::invalid_argument("batch_size or n_shards is out of range");
        run.dropout_seed = uint64_t(settings.integer("dropout_seed"));
        run.dropout = settings.real("dropout");
        if (run.dropout >= 1) throw std::invalid_argument("dropout is not in [0, 1)");
        run.max_epochs = settings.count("max_epochs"),
        run.max_seconds = settings.real("max_seconds");
        run.tol = settings.real("tol"), run.n_iter_no_change = settings.integer("n_iter_no_change");
        Object generator(settings.get("generator"));
        if (!generator.is_none()) {
            run.generator =
                static_cast<BitGenerator*>(PyCapsule_GetPointer(generator.p, "BitGenerator"));
            if (!run.generator) throw PythonError();
            if (!run.order) throw std::invalid_argument("a shuffle needs an order");
        }
        Buffer rates(settings, "rates", 'd', false), stop(settings, "stop", 'B', false);
        const size_t n_batches = (run.n + run.batch_size - 1) / run.batch_size;
        if (rates.held()) rates.expect("rates", run.max_epochs * n_batches);
        if (stop.held() && stop.size() == 0) throw std::invalid_argument("stop is empty");
        run.rates = rates.as<double>(), run.stop = stop.as<unsigned char>();
        Buffer losses(settings, "losses", 'd', true), seconds(settings, "seconds", 'd', true),
            used(settings, "learning_rates", 'd', true);
        for (const auto& each : {&losses, &seconds, &used})
            each->expect("losses, seconds or learning_rates", run.max_epochs);
        run.losses = losses.as<double>(), run.seconds = seconds.as<double>(),
        run.used_rates = used.as<double>();

        run.t = state.integer("t"), run.learning_rate = state.real("learning_rate"),
        run.best_loss = state.real("best_loss");
        run.no_improvement = state.integer("no_improvement"),
        run.n_rows_seen = state.integer("n_rows_seen");
        run.is_interrupted = is_interrupted;
        without_lock([&] { engine->train[plan.is_double](run); });

        PyObject *type, *error, *traceback;  // of a signal: the state is written all the same
        PyErr_Fetch(&type, &error, &traceback);
        state.set("t", PyLong_FromLongLong(run.t));
        state.set("learning_rate", PyFloat_FromDouble(run.learning_rate));
        state.set("best_loss", PyFloat_FromDouble(run.best_loss));
        state.set("no_improvement", PyLong_FromLongLong(run.no_improvement));
        state.set("n_rows_seen", PyLong_FromLongLong(run.n_rows_seen));
        state.set("n_batch_normalizations",
                  PyLong_FromLongLong(state.integer("n_batch_normalizations") +
                                      run.n_batch_normalizations));
        if (type) {
            PyErr_Restore(type, error, traceback);
            return nullptr;
        }
        return Py_BuildValue("ni", Py_ssize_t(run.n_epochs), int(run.reason));
    });
}

// A plan with its learned numbers where they lie, in arrays that it holds on to.
struct Model {
    PyObject* plan;  // the capsule
    std::vector<std::unique_ptr<Buffer>> arrays;
    std::unique_ptr<Buffer> buffers;
    Segments segments;
    explicit Model(PyObject* plan) : plan(plan) { Py_INCREF(plan); }
    ~Model() { Py_DECREF(plan); }
};

constexpr const char* kModel = "sklmlp.native.model";

// bind(plan, arrays, buffers): a model for `forward`; the arrays follow each other as in the flat
// array, each contiguous.
PyObject* bind(PyObject*, PyObject* arguments) {
    PyObject *capsule, *arrays_, *buffers;
    if (!PyArg_ParseTuple(arguments, "OOO", &capsule, &arrays_, &buffers)) return nullptr;
    return guarded([&]() -> PyObject* {
        const Plan& plan = plan_of(capsule);
        const char kind = plan.is_double ? 'd' : 'f';
        auto model = std::make_unique<Model>(capsule);
        model->buffers = std::make_unique<Buffer>(buffers, "buffers", kind, false);
        if (plan.n_buffers) model->buffers->expect("buffers", plan.n_buffers);
        Object tuple(PySequence_Tuple(arrays_));
        size_t n = 0;
        for (Py_ssize_t i = 0; i < PyTuple_Size(tuple.p); ++i) {
            model->arrays.push_back(std::make_unique<Buffer>(PyTuple_GetItem(tuple.p, i), "an array",
                                                             kind, false, PyBUF_ANY_CONTIGUOUS));
            model->segments.begins.push_back(n);
            model->segments.data.push_back(model->arrays.back()->as());
            n += model->arrays.back()->size();
        }
        if (n != plan.n_parameters)
            throw std::invalid_argument("arrays hold " + std::to_string(n) + " values, expected " +
                                        std::to_string(plan.n_parameters));
        const auto lies_whole = [&](size_t offset, size_t size) {
            const auto& begins = model->segments.begins;
            const auto found = std::upper_bound(begins.begin(), begins.end(), offset);
            return offset == kNone || offset + size <= (found == begins.end() ? n : *found);
        };
        const size_t k = std::max<size_t>(1, plan.n_members);
        const Front& front = plan.front;
        const size_t n_lines = front.width_of_numbers();
        bool all = lies_whole(front.weight, n_lines) && lies_whole(front.bias, n_lines) &&
                   lies_whole(front.bins, n_lines * front.n_bins) &&
                   lies_whole(front.vectors, front.n_levels * front.size);
        for (const Layer& layer : plan.layers) {
            const size_t units = layer.units(), n_matrices = layer.is_hidden ? 1 : k;
            all = all && lies_whole(layer.coefs.offset, layer.coefs.size() * n_matrices) &&
                  lies_whole(layer.projection.offset, layer.projection.size()) &&
                  lies_whole(layer.intercepts, units * k) &&
                  lies_whole(layer.slopes, layer.n_slopes) && lies_whole(layer.scale, units) &&
                  lies_whole(layer.shift, units) &&
                  lies_whole(layer.scales_in, layer.coefs.fan_in * k) &&
                  lies_whole(layer.scales_out, units * k);
        }
        if (!all)
            throw std::invalid_argument("a layer's numbers lie in more than one array");
        PyObject* bound = PyCapsule_New(model.get(), kModel, [](PyObject* capsule) {
            delete static_cast<Model*>(PyCapsule_GetPointer(capsule, kModel));
        });
        if (bound) model.release();
        return bound;
    });
}

void run_forward(const Plan& plan, Forward& run, PyObject* rows, PyObject* out_,
                 PyObject* n_threads_) {
    const char kind = plan.is_double ? 'd' : 'f';
    const long long n_threads = PyLong_AsLongLong(n_threads_);
    if (n_threads == -1 && PyErr_Occurred()) throw PythonError();
    run.n_threads = threads(n_threads);
    Buffer out(out_, "out", kind, true);
    run.out = out.as();
    if (!PyObject_CheckBuffer(rows)) {
        RowsOf all(plan, {rows}, false);
        run.rows = all.rows;
        out.expect("out", run.rows.n * plan.n_outputs);
        return without_lock([&] { engine->forward[plan.is_double](run); });
    }
    Buffer x(rows, "x", kind, false, PyBUF_STRIDES);  // dense rows: the quick way
    run.rows.n = x.size() / std::max<size_t>(1, plan.n_features);
    x.set_strides(run.rows, plan.n_features);
    out.expect("out", run.rows.n * plan.n_outputs);
    run.rows.dense = x.as();
    if (double(run.rows.n) * plan.multiplications() < 1e5)
        engine->forward[plan.is_double](run);
    else
        without_lock([&] { engine->forward[plan.is_double](run); });
}

// forward(plan, flat, buffers, rows, out, n_threads)
PyObject* forward(PyObject*, PyObject* const* arguments, Py_ssize_t n) {
    return guarded([&]() -> PyObject* {
        if (n != 6)
            throw std::invalid_argument(
                "forward takes plan, flat, buffers, rows, out and n_threads");
        const Plan& plan = plan_of(arguments[0]);
        const char kind = plan.is_double ? 'd' : 'f';
        Buffer flat(arguments[1], "flat", kind, false),
            buffers(arguments[2], "buffers", kind, false);
        flat.expect("flat", plan.n_parameters);
        if (plan.n_buffers) buffers.expect("buffers", plan.n_buffers);
        Forward run{&plan, flat.as(), buffers.as()};
        run_forward(plan, run, arguments[3], arguments[4], arguments[5]);
        Py_RETURN_NONE;
    });
}

// predict(model, rows, out, n_threads)
PyObject* predict(PyObject*, PyObject* const* arguments, Py_ssize_t n) {
    return guarded([&]() -> PyObject* {
        if (n != 4) throw std::invalid_argument("predict takes model, rows, out and n_threads");
        const auto* model = static_cast<const Model*>(PyCapsule_GetPointer(arguments[0], kModel));
        if (!model) throw PythonError();
        const Plan& plan = plan_of(model->plan);
        Forward run{&plan, nullptr, model->buffers->as(), &model->segments};
        run_forward(plan, run, arguments[1], arguments[2], arguments[3]);
        Py_RETURN_NONE;
    });
}

// gradient(plan, flat, rows, gradient, n_threads): the sum of weighted losses.
PyObject* gradient(PyObject*, PyObject* arguments) {
    PyObject *capsule, *flat_, *rows_, *gradient_;
    Py_ssize_t n_threads;
    if (!PyArg_ParseTuple(arguments, "OOOOn", &capsule, &flat_, &rows_, &gradient_, &n_threads))
        return nullptr;
    return guarded([&]() -> PyObject* {
        const Plan& plan = plan_of(capsule);
        if (plan.has_batch_normalization())
            throw std::invalid_argument("the gradient of all rows has no batches to normalize by");
        if (plan.n_members)
            throw std::invalid_argument("the gradient of all rows is not that of members");
        const char kind = plan.is_double ? 'd' : 'f';
        Buffer flat(flat_, "flat", kind, false), gradient(gradient_, "gradient", kind, true);
        flat.expect("flat", plan.n_parameters);
        gradient.expect("gradient", plan.n_parameters);
        RowsOf rows(plan, {rows_}, true);
        Gradient run{&plan, flat.as(), rows.rows, gradient.as(), threads(n_threads)};
        without_lock([&] { engine->gradient[plan.is_double](run); });
        return PyFloat_FromDouble(run.loss);
    });
}

// shuffle(capsule, order): RandomState.shuffle of an int64 array.
PyObject* shuffle_(PyObject*, PyObject* arguments) {
    PyObject *capsule, *order_;
    if (!PyArg_ParseTuple(arguments, "OO", &capsule, &order_)) return nullptr;
    return guarded([&]() -> PyObject* {
        auto* generator = static_cast<BitGenerator*>(PyCapsule_GetPointer(capsule, "BitGenerator"));
        if (!generator) throw PythonError();
        Buffer order(order_, "order", 'q', true);
        shuffle(*generator, order.as<int64_t>(), order.size());
        Py_RETURN_NONE;
    });
}

// kernel(kind, name, n, k, *arrays): for tests; kernels.hpp tells what the arrays are. Their sizes
// are not looked at.
PyObject* kernel(PyObject*, PyObject* arguments) {
    return guarded([&]() -> PyObject* {
        const char *kind, *name;
        Py_ssize_t n, k;
        Object head(PyTuple_GetSlice(arguments, 0, 4)), arrays(PyTuple_GetSlice(arguments, 4, 9));
        if (!PyArg_ParseTuple(head.p, "ssnn", &kind, &name, &n, &k)) throw PythonError();
        auto number = [&](int count, auto name_of, const char* text) {
            for (int i = 0; i < count; ++i)
                if (!std::strcmp(name_of(i), text)) return i;
            throw std::invalid_argument(std::string("unknown kernel ") + text);
        };
        KernelCall call{Kernel(number(
                            kKernelCount, [](int i) { return kKernels[i]; }, kind)),
                        0,
                        size_t(n),
                        size_t(k),
                        {}};
        if (call.kind == Kernel::function)
            call.op = number(kFunctionCount, [](int i) { return kFunctions[i]; }, name);
        else if (call.kind == Kernel::activation)
            call.op = number(kActivationCount, [](int i) { return kActivations[i].name; }, name);
        else if (call.kind == Kernel::prelu)
            call.op = std::atoi(name);
        else if (call.kind != Kernel::glu)
            call.op = number(kLossCount, [](int i) { return kLosses[i].name; }, name);
        Py_buffer views[5];
        bool is_double = false;
        Py_ssize_t held = 0;
        for (; held < PyTuple_Size(arrays.p); ++held) {
            if (PyObject_GetBuffer(PyTuple_GetItem(arrays.p, held), &views[held],
                                   PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
                break;
            call.arrays[held] = views[held].buf;
            is_double = is_double || *views[held].format == 'd';
        }
        const bool is_complete = held == PyTuple_Size(arrays.p);
        if (is_complete) engine->kernel[is_double](call);
        for (Py_ssize_t i = 0; i < held; ++i) PyBuffer_Release(&views[i]);
        if (!is_complete) throw PythonError();
        Py_RETURN_NONE;
    });
}

// pace(alone, shared, ways): for tests; which steps are shared, if they take so many seconds.
PyObject* pace_(PyObject*, PyObject* arguments) {
    PyObject *alone_, *shared_, *ways_;
    if (!PyArg_ParseTuple(arguments, "OOO", &alone_, &shared_, &ways_)) return nullptr;
    return guarded([&]() -> PyObject* {
        Buffer alone(alone_, "alone", 'd', false), shared(shared_, "shared", 'd', false),
            ways(ways_, "ways", 'q', true);
        shared.expect("shared", alone.size());
        ways.expect("ways", alone.size());
        Pace pace;
        for (size_t i = 0; i < alone.size(); ++i) {
            const bool shares = pace.shares();
            ways.as<int64_t>()[i] = shares;
            pace.took((shares ? shared : alone).as<double>()[i], 1);
        }
        Py_RETURN_NONE;
    });
}

PyObject* instruction_set_(PyObject*, PyObject*) { return PyUnicode_FromString(instruction_set); }

// use_instruction_set(name): for tests; the best that is there for a name that is not known.
PyObject* use_instruction_set(PyObject*, PyObject* name) {
    return guarded([&]() -> PyObject* {
        const char* text = PyUnicode_AsUTF8AndSize(name, nullptr);
        if (!text) throw PythonError();
        choose_engine(text);
        return PyUnicode_FromString(instruction_set);
    });
}

PyMethodDef methods[] = {
    {"make_plan", make_plan, METH_O, nullptr},
    {"train", train, METH_VARARGS, nullptr},
    {"forward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(forward)), METH_FASTCALL,
     nullptr},
    {"bind", bind, METH_VARARGS, nullptr},
    {"predict", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(predict)), METH_FASTCALL,
     nullptr},
    {"gradient", gradient, METH_VARARGS, nullptr},
    {"shuffle", shuffle_, METH_VARARGS, nullptr},
    {"kernel", kernel, METH_VARARGS, nullptr},
    {"pace", pace_, METH_VARARGS, nullptr},
    {"instruction_set", instruction_set_, METH_NOARGS, nullptr},
    {"use_instruction_set", use_instruction_set, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_engine", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

// A table as a tuple of (name, flag, arguments).
static bool add_table(PyObject* to, const char* name, const Op* ops, int n) {
    PyObject* table = PyTuple_New(n);
    for (int i = 0; table && i < n; ++i) {
        PyObject* entry =
            Py_BuildValue("sOs", ops[i].name, ops[i].flag ? Py_True : Py_False, ops[i].arguments);
        if (entry)
            PyTuple_SetItem(table, i, entry);
        else
            Py_CLEAR(table);
    }
    const bool added = table && PyModule_AddObjectRef(to, name, table) == 0;
    Py_XDECREF(table);
    return added;
}

PyMODINIT_FUNC PyInit__engine() {
    choose_engine("best");
    PyObject* self = PyModule_Create(&module);
    if (self && add_table(self, "ACTIVATIONS", kActivations, kActivationCount) &&
        add_table(self, "LOSSES", kLosses, kLossCount))
        return self;
    Py_XDECREF(self);
    return nullptr;
}

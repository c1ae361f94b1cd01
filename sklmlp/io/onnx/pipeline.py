"""Pipelines to ONNX: skl2onnx converts scikit-learn's steps, and calls our converters for ours."""

import re

import numpy as np
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sklmlp.fitted_network import class_targets
from sklmlp.io.onnx.columns import TEXT, columns_of
from sklmlp.io.onnx.encoder import Block, encode_table, used_places
from sklmlp.io.onnx.layers import OPSET, Graph, NotInOnnx, domain_of, element_type
from sklmlp.io.onnx.predictions import labels_as_array, n_values, predict_classes, predict_values


def register_onnx_converter(cls):
    """Tell skl2onnx how to convert a class of estimators; `to_onnx` does so by itself.

    Parameters
    ----------
    cls : type
        `MLPClassifier`, `MLPRegressor`, `TableEncoder`, or one that extends them.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.io import register_onnx_converter
    >>> register_onnx_converter(MLPClassifier)
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    >>> onnx = skl2onnx.to_onnx(mlp, X[:1], options={"zipmap": False}, target_opset=17)
    >>> [output.name for output in onnx.graph.output]
    ['label', 'probabilities']
    """
    from skl2onnx import update_registered_converter

    if _is_table_encoder(cls):
        update_registered_converter(cls, f"Sklmlp{cls.__name__}", _shape_of_encoded, _encode)
        return
    options = None
    if is_classifier(cls()):
        options = {
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [False, True],
        }
    update_registered_converter(cls, f"Sklmlp{cls.__name__}", _shapes, _convert, options=options)


def _floating(variable):
    """Return what a table is computed in, in the words of NumPy."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = isinstance(variable.type, DoubleTensorType)
    return np.dtype(np.float64 if is_double else np.float32)


def _options(operator):
    return operator.scope_inst.get_options(operator.raw_operator, fail=False) or {}


def _shapes(operator):
    from skl2onnx.common import data_types

    estimator = operator.raw_operator
    floating = {"float32": data_types.FloatTensorType, "float64": data_types.DoubleTensorType}
    output_type, n = (
        floating[_floating(operator.inputs[0]).name],
        operator.inputs[0].get_first_dimension(),
    )
    if not is_classifier(estimator):
        operator.outputs[0].type = output_type([n, n_values(estimator)])
        return
    labels = labels_as_array(estimator)
    several = class_targets(estimator).kind == "multilabel-indicator"
    kinds = {
        **floating,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
    }
    kind = kinds.get("int64" if several else labels.dtype.name, data_types.StringTensorType)
    operator.outputs[0].type = kind([n, len(labels)] if several else [n])
    if _options(operator).get("zipmap") not in (False, None):  # ZipMap takes float32 alone
        output_type = data_types.FloatTensorType
    operator.outputs[1].type = output_type([n, len(labels)])


def _convert(scope, operator, container):
    graph = Graph(_floating(operator.inputs[0]), scope.get_unique_variable_name)
    estimator, x = operator.raw_operator, operator.inputs[0].full_name
    x = graph.cast(x, graph.dtype)
    names = [output.full_name for output in operator.outputs]
    if is_classifier(estimator):
        label, probabilities = names
        wanted = _floating(operator.outputs[1])
        table = probabilities if wanted == graph.dtype else scope.get_unique_variable_name("table")
        predict_classes(graph, x, estimator, label, table)
        if table != probabilities:
            graph.cast(table, wanted, output=probabilities)
    else:
        predict_values(graph, x, estimator, *names)
    _add(graph, scope, container)


def _add(graph, scope, container):
    """Move a graph into skl2onnx's."""
    from onnx import numpy_helper

    for name, array in graph.constants:
        container.initializers.append(numpy_helper.from_array(array, name))
    for kind, inputs, output, attributes in graph.nodes:
        if domain_of(kind):  # skl2onnx would take the newest version, which it does not know
            attributes = attributes | {"op_domain": domain_of(kind), "op_version": 2}
        container.add_node(
            kind, inputs, output, name=scope.get_unique_operator_name(kind), **attributes
        )


FLOAT32_ALONE = ("AdaBoostClassifier", "Binarizer", "PolynomialFeatures", "PowerTransformer")
"""What skl2onnx makes of these for float64 computes something else, or cannot be loaded."""


def convert_pipeline(estimator, X, dtype, zipmap):
    """Return what skl2onnx makes of an estimator of scikit-learn's with ours inside.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : {array-like, dataframe} or None
    dtype : numpy.dtype
        Of columns of real numbers and of predictions.
    zipmap : bool

    Returns
    -------
    model : onnx.ModelProto

    Raises
    ------
    ValueError
        If there is something that ONNX or skl2onnx cannot express.
    """
    import skl2onnx
    from sklearn.impute import SimpleImputer

    for part in _parts(estimator):
        if hasattr(part, "build_analyzer"):
            raise ValueError(
                f"ONNX splits texts into words by other rules than {type(part).__name__}: apply it "
                "before, and convert what follows."
            )
        if dtype == np.float64 and type(part).__name__ in FLOAT32_ALONE:
            raise ValueError(
                f"skl2onnx converts {type(part).__name__} for float32 rows alone: take "
                "dtype='float32'."
            )
    columns, is_table = columns_of(estimator, X, dtype)
    for found in classes_of_ours(estimator):
        register_onnx_converter(found)
    inner = _inner_inputs(estimator, columns)
    try:
        model = skl2onnx.convert_sklearn(
            estimator,
            name="sklmlp",
            initial_types=[(name, _type(kind)([None, width])) for name, kind, width in inner],
            options={id(estimator): {"zipmap": zipmap}} if is_classifier(estimator) else None,
            target_opset=OPSET,
            custom_conversion_functions={SimpleImputer: _impute},
            custom_shape_calculators={SimpleImputer: _shape_of_imputed},
        )
    except NotInOnnx:
        raise
    except Exception as error:  # of any kind: skl2onnx has no class of its own for them
        raise ValueError(
            f"skl2onnx cannot convert this {type(estimator).__name__}: {_reason(error)}"
        ) from error
    _feed(model, columns, is_table, inner)
    _cast_answers(model, dtype)
    _try_to_load(model, estimator)
    return model


def unwrapped(estimator):
    """Return what predicts: the best of a search, a frozen estimator; pipelines likewise."""
    if hasattr(estimator, "best_estimator_"):
        return unwrapped(estimator.best_estimator_)
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    if isinstance(estimator, Pipeline):  # skl2onnx stumbles over a step "passthrough"
        steps = [step for step in estimator.steps if step[1] not in (None, "passthrough")]
        return Pipeline([(name, unwrapped(step)) for name, step in steps])
    return estimator


def _reason(error):
    """Return an error of skl2onnx's in one line."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    missing = re.search(r"find a (?:shape calculator|converter) for .*\.(\w+)'>", text)
    return f"it has no converter for {missing[1]}." if missing else text


def _try_to_load(model, estimator):
    """Load the model where onnxruntime is installed: skl2onnx does not notice all that is wrong."""
    try:
        import onnxruntime
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is told once, by the error
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ValueError(
            f"onnxruntime cannot load what skl2onnx makes of this {type(estimator).__name__}: "
            f"{_reason(error)}"
        ) from error


def _inner_inputs(estimator, columns):
    """Return the inputs that skl2onnx is told of: (name, dtype, width)."""
    kinds = {column.inner for column in columns}
    if _takes_columns_by_name(estimator):
        return [(column.name, column.inner, 1) for column in columns]
    if len(kinds) == 1:
        return [("given_rows", kinds.pop(), len(columns))]
    return [(f"given_column_{i}", column.inner, 1) for i, column in enumerate(columns)]


def _takes_columns_by_name(estimator):
    """Tell whether there is a ColumnTransformer, which finds its columns by their names."""
    return any(hasattr(part, "transformers_") for part in _parts(estimator))


def _type(dtype):
    from skl2onnx.common import data_types

    names = {"float32": "Float", "float64": "Double", "bool": "Boolean"}
    name = "String" if dtype.kind == "U" else names.get(dtype.name, dtype.name.capitalize())
    return getattr(data_types, f"{name.replace('Ui', 'UI')}TensorType")


def _feed(model, columns, is_table, inner):
    """Put in front of a model what makes its inputs out of the columns as they are given."""
    from onnx import helper, numpy_helper

    body = model.graph
    if is_table:
        inputs = [("X", columns[0].given, len(columns))]
    else:
        inputs = [(column.name, column.given, 1) for column in columns]
    outer, within = {name for name, *_ in inputs}, {name for name, *_ in inner}
    made = {each.name for each in body.initializer}
    made |= {name for node in body.node for name in node.output}
    if clash := sorted(made & within):
        raise ValueError(f"skl2onnx has a value of its own called {clash[0]!r}: rename the column.")
    taken = made | outer | within

    def unique(seed):
        name = next(name for i in range(len(taken) + 1) if (name := f"{seed}_{i}") not in taken)
        taken.add(name)
        return name

    renamed = {name: unique("inner") for name in within | (made & outer)}
    for node in body.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for each in [*body.initializer, *body.output]:
        each.name = renamed.get(each.name, each.name)

    graph = Graph(np.float32, unique)
    if not is_table:
        sources = [column.name for column in columns]
    elif len(inner) == 1:
        sources, columns = ["X"], columns[:1]
    else:
        sources = [graph("Gather", "X", np.array([i]), axis=1) for i in range(len(columns))]
    cast = [
        source if column.given == column.inner else graph.cast(source, column.inner)
        for source, column in zip(sources, columns, strict=True)
    ]
    if len(inner) < len(cast):
        cast = [graph("Concat", *cast, axis=1)]
    for source, (name, _, _) in zip(cast, inner, strict=True):
        graph("Identity", source, output=renamed[name])
    nodes = [
        helper.make_node(operator, given, [output], name=unique(operator), **more)
        for operator, given, output, more in graph.nodes
    ]
    rest = list(body.node)
    del body.node[:], body.input[:]
    body.node.extend([*nodes, *rest])
    body.initializer.extend(numpy_helper.from_array(array, name) for name, array in graph.constants)
    body.input.extend(
        helper.make_tensor_value_info(name, element_type(kind), [None, width])
        for name, kind, width in inputs
    )


def _cast_answers(model, dtype):
    """Cast outputs that are real numbers to the dtype that was asked for."""
    from onnx import TensorProto, helper

    wanted = element_type(dtype)
    for output in model.graph.output:
        kind = output.type.tensor_type
        if kind.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE) and kind.elem_type != wanted:
            before = f"{output.name}_before_the_cast"
            for node in model.graph.node:
                for names in (node.input, node.output):
                    for i, name in enumerate(names):
                        names[i] = before if name == output.name else name
            model.graph.node.append(helper.make_node("Cast", [before], [output.name], to=wanted))
            kind.elem_type = wanted


def _shape_of_imputed(operator):
    step, given = operator.raw_operator, operator.inputs[0].type
    kept = _kept(step)
    width = len(kept) + (len(step.indicator_.features_) if step.add_indicator else 0)
    operator.outputs[0].type = type(given)([operator.inputs[0].get_first_dimension(), width])


def _kept(step):
    """Return the columns that an imputer keeps: not those without a value to put in."""
    statistics = np.asarray(step.statistics_)
    if statistics.dtype.kind in "OU":
        return list(range(len(statistics)))
    return np.flatnonzero(~np.isnan(statistics.astype(float))).tolist()


def _impute(scope, operator, container):
    """Convert a SimpleImputer; skl2onnx's converter takes float32 alone."""
    from skl2onnx.common.data_types import StringTensorType

    step, (given,) = operator.raw_operator, operator.inputs
    graph = Graph(_floating(given), scope.get_unique_variable_name)
    x, missing, kept = given.full_name, step.missing_values, _kept(step)
    is_nan = missing is None or missing != missing
    output = operator.outputs[0].full_name
    if isinstance(given.type, StringTensorType):
        if step.add_indicator or not (is_nan or isinstance(missing, str)):
            raise NotInOnnx("ONNX has no missing text, of which a SimpleImputer could tell.")
        # ONNX has no missing text, so that there is nothing to put in
        graph("Identity", x, output=output)
    else:
        is_missing = graph("IsNaN", x) if is_nan else graph("Equal", x, float(missing))
        values = graph("Where", is_missing, np.nan_to_num(step.statistics_.astype(float)), x)
        parts = [graph("Gather", values, np.array(kept), axis=1)]
        if step.add_indicator:
            told = graph("Gather", is_missing, np.array(step.indicator_.features_), axis=1)
            parts.append(graph.cast(told, graph.dtype))
        graph("Concat", *parts, output=output, axis=1)
    _add(graph, scope, container)


def _shape_of_encoded(operator):
    from skl2onnx.common.data_types import FloatTensorType

    n = operator.inputs[0].get_first_dimension()
    width = len(operator.raw_operator.feature_kinds_)
    operator.outputs[0].type = FloatTensorType([n, width])


def _encode(scope, operator, container):
    """Convert a TableEncoder, of one table or of columns of several types."""
    encoder = operator.raw_operator
    widths = [variable.type.shape[1] for variable in operator.inputs]
    places = list(range(encoder.n_features_in_))
    if None not in widths and sum(widths) < len(places):
        places = used_places(encoder)  # columns that nothing uses are no inputs
    if None in widths or sum(widths) != len(places):
        raise NotInOnnx(
            f"The TableEncoder was fitted on {encoder.n_features_in_} columns, and the step before "
            f"it gives {widths}."
        )
    ends = np.cumsum(widths)
    blocks = [
        Block(variable.full_name, _dtype_of(variable), places[end - width : end])
        for variable, width, end in zip(operator.inputs, widths, ends, strict=True)
    ]
    graph = Graph(np.float32, scope.get_unique_variable_name)
    encoded = encode_table(graph, blocks, encoder)
    graph("Identity", encoded, output=operator.outputs[0].full_name)
    _add(graph, scope, container)


def _dtype_of(variable):
    """Return the NumPy dtype of a variable of skl2onnx's."""
    name = type(variable.type).__name__.removesuffix("TensorType").removesuffix("Type").lower()
    names = {"string": TEXT, "float": np.float32, "double": np.float64, "boolean": bool}
    return np.dtype(names.get(name, name))


def is_ours(cls):
    """Tell whether a class is, or extends, one of our estimators; `io` may not import them."""
    return _extends(cls, "sklmlp.prediction") or is_of_tables(cls)


def is_of_tables(cls):
    """Tell whether a class is, or extends, one of our estimators of raw tables."""
    return _extends(cls, "sklmlp.tabular.base")


def _is_table_encoder(cls):
    return _extends(cls, "sklmlp.tabular.encoder")


def _extends(cls, module):
    return any(base.__module__ == module for base in cls.__mro__)


def classes_of_ours(estimator):
    """Return the classes inside another estimator, however deep, that we have converters for."""
    classes = {type(part) for part in _parts(estimator)}
    if behind := [cls.__name__ for cls in classes if is_of_tables(cls)]:
        raise NotInOnnx(
            f"to_onnx converts a {behind[0]} by itself, and not inside a "
            f"{type(estimator).__name__}: it has no converter for skl2onnx. Convert the fitted "
            f"{behind[0]}, or put a TableEncoder and an MLP into the pipeline."
        )
    return {cls for cls in classes if is_ours(cls) or _is_table_encoder(cls)}


def _parts(value, seen=None):
    """Yield an estimator and those inside it, however deep; sklmlp's have no parts."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if hasattr(value, "get_params"):
        yield value
    if is_ours(type(value)):
        return
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = value
    else:
        parts = list(vars(value).values()) if hasattr(value, "get_params") else []
    for part in parts:
        yield from _parts(part, seen)

"""L-BFGS: SciPy's optimizer over gradients of all rows, compiled or torch's."""

import math
import time

import numpy as np
import scipy
import scipy.optimize
import torch
from sklearn.exceptions import ConvergenceWarning

from sklmlp import native, runtime
from sklmlp.data import ROWS_AT_A_TIME
from sklmlp.failures import hint_of_targets
from sklmlp.training.stacking import TrainingJob, available_threads, run_or_enqueue
from sklmlp.training.steps.base import add_gradient, add_penalty
from sklmlp.training.steps.compiled import is_compilable, rows_of_dataset


def train_lbfgs(runs):
    """Minimize the penalized loss of all rows at once, for one network after the other.

    Parameters
    ----------
    runs : list of TrainingRun
        Their networks are in float64 where the device has it: line searches need the digits.

    Returns
    -------
    ended : bool
        Whether they ended by themselves.
    """
    is_compiled = all(map(_is_compilable, runs))
    return run_or_enqueue(TrainingJob(runs, _train_jobs, is_compiled=is_compiled))


def _is_compilable(run):
    """Return whether the engine has the gradient of all rows, which it has not of a module."""
    return is_compilable(run) and run.network.spec.module is None


def _train_jobs(jobs, interrupted):
    """Train the networks of jobs; see `TrainingJob`."""
    for run in (run for job in jobs for run in job.runs):
        if not interrupted.is_set():
            _minimise(run, interrupted)


def _why_not_converged(result, n_iter, max_iter):
    """Return what SciPy could not do, in scikit-learn's words."""
    advice = (
        f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
        if n_iter == max_iter
        else ""
    )
    return (
        f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
        f"{result.message}\n{advice}\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )


def _torch_objective(run, interrupted):
    """Return the penalized mean loss of all rows as a function of the weights, by autograd.

    Parameters
    ----------
    run : TrainingRun
    interrupted : Interrupt
        Once it is set a call raises KeyboardInterrupt.

    Returns
    -------
    objective : callable
        Weights, an ndarray of float64, to (loss, gradient).
    """
    network, weight = run.network, run.dataset.weight
    total = float(len(run.dataset) if weight is None else weight.sum())
    products = network.n_coefs * min(len(run.dataset), ROWS_AT_A_TIME)
    is_small = products < runtime.SMALL_STEP  # too small to be worth a second thread

    def evaluate(flat):
        network.flat.detach().copy_(torch.from_numpy(flat))
        network.gradient.zero_()
        loss, squared_coefs = 0.0, network.flat.detach().new_empty(())
        for x, y, weight in run.dataset.slices():
            if interrupted.is_set():
                raise KeyboardInterrupt
            scale = 1 / total if weight is None else weight.unsqueeze(-1) / total
            z = network.flat.detach().new_empty((len(x), network.spec.n_outputs))
            add_gradient(run, x, y, scale, z)
            rows = run.loss.value(z, y)
            loss += float((rows if weight is None else rows * weight).sum()) / total
        add_penalty(run, total, squared_coefs)
        loss += 0.5 * run.config.alpha / total * float(squared_coefs)
        return loss, network.gradient.cpu().double().numpy()

    return lambda flat: runtime.compute(
        lambda: evaluate(flat), run.config.matmul_precision, is_small
    )


def _compiled_objective(run, interrupted):
    """Return the same by the compiled engine; see `_torch_objective`."""
    alpha, n_coefs = run.config.alpha, run.network.n_coefs
    plan, rows = run.network.compile(), rows_of_dataset(run.dataset)
    total = float(rows.n_rows if rows.weight is None else rows.weight.sum())
    n_threads = native.shards(plan, rows.n_rows, available_threads())

    def evaluate(flat):
        if interrupted.is_set():
            raise KeyboardInterrupt
        gradient, coefs = np.empty_like(flat), flat[:n_coefs]
        loss = plan.loss_and_gradient(flat, rows, gradient, n_threads)
        with np.errstate(all="ignore"):  # SciPy's line search steps back from infinity
            gradient[:n_coefs] += alpha * coefs
            loss += 0.5 * alpha * float(np.dot(coefs, coefs))
            return loss / total, gradient / total

    return evaluate


def _minimise(run, interrupted):
    network, config = run.network, run.config
    stopping, callback = run.state.stopping, run.callback
    network.module.eval()  # a line search needs the same function twice
    best, loss_reached = network.flat.detach().cpu().double().numpy().copy(), float("nan")

    make_objective = _compiled_objective if _is_compilable(run) else _torch_objective
    objective = make_objective(run, interrupted)

    def loss_and_gradient(values):
        point = best.copy()
        point[moves] = values
        loss, gradient = objective(point)
        return loss, gradient[moves]

    def look():
        """Return weights, and which are not frozen; callbacks may have changed both."""
        flat = network.flat.detach().cpu().double().numpy().copy()
        moves = np.ones(len(flat), bool)
        for segment, is_frozen in zip(network.segments, network.frozen(), strict=True):
            moves[segment] = not is_frozen
        if not moves.any():
            raise ValueError("Callbacks have frozen all parameters: there is nothing to train.")
        return flat, moves

    started = time.perf_counter()

    def record(intermediate_result):
        nonlocal started, loss_reached, halted, begun, changed
        now = time.perf_counter()
        best[moves] = intermediate_result.x
        network.flat.detach().copy_(torch.from_numpy(best))  # not what the line search tried last
        stopping.n_iter += 1
        loss_reached = float(intermediate_result.fun)
        stopping.history.append(
            {
                "epoch": len(stopping.history) + 1,
                "train_loss": loss_reached,
                "seconds": now - started,
            }
        )
        started = now
        if not begun:  # SciPy tells of an iteration when it is over
            callback.begin_epoch()
        callback.end_epoch(stopping.history[-1])
        begun = False
        if config.verbose:
            print(f"Iteration {stopping.n_iter}, loss = {loss_reached:.8f}{run.pace}")
        if run.is_stopped or run.is_out_of_time:
            halted = True
            raise StopIteration
        if run.has_batch_callbacks and stopping.n_iter < config.max_iter:
            begin()
            flat, now_moves = look()
            if not (np.array_equal(flat, best) and np.array_equal(moves, now_moves)):
                changed = True
                raise StopIteration

    def begin():
        nonlocal begun
        callback.begin_epoch()
        begun = True

    stopping.n_iter, halted, begun, changed = 0, False, False, True
    callback.begin_training()
    try:
        if run.has_batch_callbacks:
            begin()
        while changed:  # a callback has frozen or set weights: begin with another function
            (best, moves), changed, done = look(), False, stopping.n_iter
            result = scipy.optimize.minimize(
                loss_and_gradient,
                best[moves],
                method="L-BFGS-B",
                jac=True,
                callback=record,
                options={
                    "maxfun": config.max_fun,
                    "maxiter": config.max_iter - done,
                    "gtol": config.tol,
                },
            )
        best[moves] = result.x
        loss_reached = float(result.fun)
        if not math.isfinite(loss_reached):
            raise ValueError(
                f"Solver produced a non-finite loss ({loss_reached}) after {stopping.n_iter} "
                "iteration(s). The input data may contain large values and need to be "
                f"preprocessed. Scale the features, or lower alpha={config.alpha:g}."
                f"{hint_of_targets(run)}"
            )
        if halted and not run.is_stopped:
            message = (
                f"lbfgs failed to converge after {stopping.n_iter} iteration(s): Maximum time "
                f"(max_time={config.max_time} seconds) reached."
            )
            run.outcome.warnings.append((message, ConvergenceWarning))
        elif not halted:
            stopping.n_iter = min(done + result.nit, config.max_iter)
            if result.status != 0:
                message = _why_not_converged(result, stopping.n_iter, config.max_iter)
                run.outcome.warnings.append((message, ConvergenceWarning))
    except KeyboardInterrupt:
        interrupted.set()
    network.flat.detach().copy_(torch.from_numpy(best))
    callback.end_training()
    run.outcome.final_loss = loss_reached

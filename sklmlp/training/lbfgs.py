"""L-BFGS: SciPy's optimizer over torch's gradients."""

import math
import time

import numpy as np
import scipy
import scipy.optimize
import torch
from sklearn.exceptions import ConvergenceWarning

from sklmlp import runtime
from sklmlp.data import ROWS_AT_A_TIME
from sklmlp.failures import hint_of_targets
from sklmlp.training.jobs import TrainingJob, run_or_enqueue
from sklmlp.training.run import number_networks
from sklmlp.training.steps.autograd import AutogradStep


def train_lbfgs(fits):
    """Minimise the penalised loss of all rows at once, for one network after the other.

    Parameters
    ----------
    fits : list of TrainingRun
        Their networks are in float64 where the device has it: line searches need the digits.

    Returns
    -------
    ended : bool
        Whether they ended by themselves.
    """
    number_networks(fits)
    return run_or_enqueue(TrainingJob(fits, _train_jobs))


def _train_jobs(jobs, interrupted):
    """Train the networks of jobs; see `TrainingJob`."""
    for fit in (fit for job in jobs for fit in job.fits):
        if not interrupted.is_set():
            _minimise(fit, interrupted)


def _why_not_converged(result, n_iter, max_iter):
    """What SciPy could not do, in scikit-learn's words."""
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


def _minimise(fit, interrupted):
    network, table, params = fit.network, fit.table, fit.params
    progress, events = fit.progress, fit.events
    step = AutogradStep([fit])
    total = float(len(table) if table.weight is None else table.weight.sum())
    network.module.eval()  # a line search needs the same function twice
    best, loss_reached = network.flat.detach().cpu().double().numpy().copy(), float("nan")

    products = network.n_coefs * min(len(table), ROWS_AT_A_TIME)
    is_small = products < runtime.SMALL_STEP  # too small to be worth a second thread

    def loss_and_gradient(flat):
        return runtime.compute(lambda: evaluate(flat), params.matmul_precision, is_small)

    def evaluate(values):
        point = best.copy()
        point[moves] = values
        network.flat.detach().copy_(torch.from_numpy(point))
        network.gradient.zero_()
        loss, squared_coefs = 0.0, network.flat.detach().new_empty(())
        for x, y, weight in table.slices():
            scale = 1 / total if weight is None else weight.unsqueeze(-1) / total
            z = network.flat.detach().new_empty((len(x), network.spec.n_outputs))
            step.backward(x, y, scale, z)
            rows = fit.loss.value(z, y)
            loss += float((rows if weight is None else rows * weight).sum()) / total
        step.penalise(total, squared_coefs)
        loss += 0.5 * params.alpha / total * float(squared_coefs)
        return loss, network.gradient.cpu().double().numpy()[moves]

    def look():
        """Weights and what of them is not frozen, which callbacks may have changed."""
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
        progress.n_iter += 1
        loss_reached = float(intermediate_result.fun)
        progress.history.append(
            {
                "epoch": len(progress.history) + 1,
                "train_loss": loss_reached,
                "seconds": now - started,
            }
        )
        started = now
        if not begun:  # SciPy tells of an iteration when it is over
            events.begin_epoch()
        events.end_epoch(progress.history[-1])
        begun = False
        if params.verbose:
            print(f"Iteration {progress.n_iter}, loss = {loss_reached:.8f}{fit.pace}")
        if fit.is_stopped or fit.is_out_of_time:
            halted = True
            raise StopIteration
        if fit.has_batch_callbacks and progress.n_iter < params.max_iter:
            begin()
            flat, now_moves = look()
            if not (np.array_equal(flat, best) and np.array_equal(moves, now_moves)):
                changed = True
                raise StopIteration

    def begin():
        nonlocal begun
        events.begin_epoch()
        begun = True

    progress.n_iter, halted, begun, changed = 0, False, False, True
    events.begin_training()
    try:
        if fit.has_batch_callbacks:
            begin()
        while changed:  # a callback has frozen or set weights: begin with another function
            (best, moves), changed, done = look(), False, progress.n_iter
            result = scipy.optimize.minimize(
                loss_and_gradient,
                best[moves],
                method="L-BFGS-B",
                jac=True,
                callback=record,
                options={
                    "maxfun": params.max_fun,
                    "maxiter": params.max_iter - done,
                    "gtol": params.tol,
                },
            )
        best[moves] = result.x
        loss_reached = float(result.fun)
        if not math.isfinite(loss_reached):
            raise ValueError(
                f"Solver produced a non-finite loss ({loss_reached}) after {progress.n_iter} "
                "iteration(s). The input data may contain large values and need to be "
                f"preprocessed. Scale the features, or lower alpha={params.alpha:g}."
                f"{hint_of_targets(fit)}"
            )
        if halted and not fit.is_stopped:
            message = (
                f"lbfgs failed to converge after {progress.n_iter} iteration(s): Maximum time "
                f"(max_time={params.max_time} seconds) reached."
            )
            fit.warnings.append((message, ConvergenceWarning))
        elif not halted:
            progress.n_iter = min(done + result.nit, params.max_iter)
            if result.status != 0:
                message = _why_not_converged(result, progress.n_iter, params.max_iter)
                fit.warnings.append((message, ConvergenceWarning))
    except KeyboardInterrupt:
        interrupted.set()
    network.flat.detach().copy_(torch.from_numpy(best))
    events.end_training()
    fit.reached = loss_reached

"""The one training loop, for one network or for a stack of them."""

from functools import partial

from sklearn.exceptions import ConvergenceWarning

from sklmlp import runtime
from sklmlp.training.pausing import ending_in_time


def train_stack(runs, step, interrupted, one_thread, checkpoints=None):
    """Train networks side by side, each until it has ended or the user stops.

    Parameters
    ----------
    runs : list of TrainingRun
    step : Step
        Of these runs.
    interrupted : Interrupt
        Set by Ctrl-C, here or elsewhere.
    one_thread : bool
        Whether each step is to stay on the thread of the caller.
    checkpoints : Checkpoints, default=None
        Told of every epoch.
    """
    for run in runs:
        run.start()
    running = list(runs)
    try:
        with ending_in_time(runs, interrupted):
            for run in runs:
                _isolated(run, run.callback.begin_training)
            while running and not interrupted.is_set():
                epochs = partial(_train_epochs, running, step, interrupted, checkpoints)
                if step.is_compiled and all(run.validation is None for run in running):
                    going = epochs()
                else:
                    going = runtime.compute(epochs, runs[0].config.matmul_precision, one_thread)
                running = [running[k] for k in going]
                step.select(going)
    except KeyboardInterrupt:
        interrupted.set()
    for run in runs:
        if run.outcome.error is None:
            _isolated(run, run.finish)


def _train_epochs(runs, step, interrupted, checkpoints):
    """Train until a network has ended or it is time to pause; return which ones go on."""
    everybody = list(range(len(runs)))
    while True:
        for run in runs:
            _isolated(run, run.callback.begin_epoch)
        losses, rates, seconds = step.train_epochs(_most_epochs(runs, checkpoints), interrupted)
        for run, *outcome in zip(runs, losses, rates, strict=True):
            _isolated(run, run.end_epochs, *outcome, seconds)
        going = [k for k in everybody if _goes_on(runs[k])]
        if checkpoints is not None:
            checkpoints.after_epoch(runs, step.orders, going)
        for k in everybody:
            if k not in going and runs[k].state.pause is not None:
                _isolated(runs[k], runs[k].state.pause.keep, runs[k], step.orders[k])
        if going != everybody or runtime.others_wait() or interrupted.is_set():
            return going


def _most_epochs(runs, checkpoints):
    """Return for how many epochs a step may go on by itself."""
    if checkpoints is not None or any(run.is_one_epoch or run.is_watched for run in runs):
        return 1
    return max(1, min(run.n_epochs_left for run in runs))


def _goes_on(run):
    """Tell whether a network is to train for another epoch; warn where it ought to."""
    has_ended = _isolated(run, run.has_ended)
    if has_ended or run.is_one_epoch or run.outcome.error is not None:
        return False
    return not (_is_out_of_epochs_or_time(run) or run.pauses())


def _isolated(run, act, *args):
    """Call a hook of one network, recording an exception instead of ending the other networks."""
    try:
        return act(*args)
    except Exception as error:
        run.outcome.error = run.outcome.error or error


def _is_out_of_epochs_or_time(run):
    if run.state.stopping.n_iter >= run.config.max_iter:
        limit = f"Maximum iterations ({run.config.max_iter})"
    elif run.is_out_of_time:
        limit = f"Maximum time (max_time={run.config.max_time} seconds)"
    else:
        return False
    message = f"Stochastic Optimizer: {limit} reached and the optimization hasn't converged yet."
    run.outcome.warnings.append((message, ConvergenceWarning))
    run.outcome.ran_out = True
    return True

"""Many tasks, several at a time, in this process or on the workers of a Dask cluster.

A task is a function of this library and a plain value. One that fails is not tried again, for it
would fail again; one whose worker is lost (killed, out of memory, its machine gone) is given to
another worker.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sparsecore import __version__
from sparsecore.errors import InputError, TrainingError
from sparsecore.files import write_text
from sparsecore.home import home
from sparsecore.runs.cluster import Workers, connected

if TYPE_CHECKING:
    from distributed import Client
    from tqdm import tqdm

VERSION = __version__
TOKENS = "cache/sweeps"  # below SPARSECORE_HOME


def outcomes(
    function: Callable[[Any], Any],
    items: Mapping[str, Any],
    workers: Workers | None,
    gpus: bool,
    progress: bool,
) -> Iterator[tuple[str, Any]]:
    """``(label, function(item))`` for the item of each label, as they are finished.

    In place of its value a task that failed has its exception; the others go on.

    Args:
        function: of a module, so that workers find it by its name.
        items: by a short name that the bar shows; plain values.
        workers: None: in this process, in turn.
        gpus: workers of this machine are to have a GPU each, as far as there are GPUs.
        progress: show a bar of what is finished and what is running.

    Raises:
        InputError: no such workers, or they do not share this machine's folder and version.
        TrainingError: the scheduler is gone.
    """
    from tqdm.auto import tqdm

    with tqdm(total=len(items), desc="runs", unit="run", disable=not progress) as bar:
        if workers is None:
            found = _in_this_process(function, items, bar)
        else:
            found = _on_workers(function, items, workers, gpus, bar)
        with contextlib.closing(found):
            for label, outcome in found:
                bar.update()
                yield label, outcome


def _in_this_process(
    function: Callable[[Any], Any], items: Mapping[str, Any], bar: tqdm[Any]
) -> Generator[tuple[str, Any], None, None]:
    for label, item in items.items():
        bar.set_postfix_str(label)
        try:
            outcome = function(item)
        except Exception as error:
            outcome = error
        yield label, outcome


def _on_workers(
    function: Callable[[Any], Any],
    items: Mapping[str, Any],
    workers: Workers,
    gpus: bool,
    bar: tqdm[Any],
) -> Generator[tuple[str, Any], None, None]:
    import distributed

    with connected(workers, len(items), gpus) as client, _token() as token:
        _check_present(client, token)
        futures = {
            client.submit(attempt, function, item, label, token, pure=False): label
            for label, item in items.items()
        }
        with _watched(client, token, bar) as running:
            for future in distributed.as_completed(list(futures)):
                label = futures[future]
                try:
                    outcome = future.result()
                except InputError:  # the worker refuses every task
                    raise
                except distributed.CancelledError:
                    raise TrainingError(
                        "the scheduler is gone; finished runs are kept, the same command goes on"
                    ) from None
                except distributed.KilledWorker:
                    outcome = TrainingError("its worker was lost each time (out of memory?)")
                except Exception as error:
                    outcome = error
                running[label] = None
                yield label, outcome


def attempt(function: Callable[[Any], Any], item: Any, label: str, token: str) -> Any:
    """On a worker: the value of the task, or the exception of one that failed.

    Raises:
        InputError: this worker does not share the folder or the version of who asks.
    """
    from distributed import get_worker
    from tqdm import tqdm

    worker = get_worker()
    check_worker(worker.address, look(token, worker))
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a killed process leaves behind
    worker.log_event(token, {"label": label, "worker": worker.address})
    try:
        return function(item)
    except (InputError, TrainingError) as error:
        return error


def look(token: str, dask_worker: Any) -> dict[str, Any]:
    """On a worker, which Dask passes: what :func:`check_worker` wants to know of it."""
    return {
        "token": (home() / TOKENS / token).exists(),
        "home": str(home()),
        "version": VERSION,
        "threads": dask_worker.state.nthreads,
    }


def check_worker(address: str, seen: dict[str, Any]) -> None:
    """Raise InputError unless a worker can compute for this process, by what it sees."""
    if seen["version"] != VERSION:
        raise InputError(
            f"worker {address} has sparsecore {seen['version']}, this is {VERSION}: "
            "install the same version there"
        )
    if not seen["token"]:
        raise InputError(
            f"worker {address} does not see the folder {home()}: set SPARSECORE_HOME to one "
            f"folder that all machines share (there it is {seen['home']})"
        )
    if seen["threads"] != 1:
        raise InputError(
            f"worker {address} computes {seen['threads']} tasks at a time, and runs share "
            "PyTorch's random numbers: start it with --nthreads 1 (and --nworkers for several)"
        )


def _check_present(client: Client, token: str) -> None:
    """Ask the workers that are there; those that come later are asked with their first task."""
    try:
        found: Any = client.run(look, token)
        for address, seen in found.items():
            check_worker(address, seen)
    except ImportError as error:
        raise InputError(
            f"the workers cannot import sparsecore {VERSION} ({error}): install it there"
        ) from None


@contextlib.contextmanager
def _token() -> Iterator[str]:
    """The name of a file that only those see who share ``SPARSECORE_HOME``."""
    name = uuid.uuid4().hex
    path = home() / TOKENS / name
    write_text(path, "")
    try:
        yield name
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _watched(client: Client, token: str, bar: tqdm[Any]) -> Iterator[dict[str, str | None]]:
    """Show what is running beside the bar, and a line for each worker that is lost.

    Yields the worker of each label that was begun; the caller sets those that end to None.
    """
    running: dict[str, str | None] = {}

    def show() -> None:
        bar.set_postfix_str(", ".join(label for label, worker in running.items() if worker))

    def began(event: tuple[float, dict[str, str]]) -> None:
        label, worker = event[1]["label"], event[1]["worker"]
        if running.get(label, worker) is not None:  # else its end was quicker than this message
            running[label] = worker
            show()

    def changed(event: tuple[float, dict[str, Any]]) -> None:
        if event[1].get("action") != "remove-worker" or event[1].get("expected"):
            return
        address = event[1]["worker"]
        for label in [label for label, worker in running.items() if worker == address]:
            del running[label]
            bar.write(f"worker {address} was lost while it computed {label}", file=sys.stderr)
        show()

    handlers = {token: began, "all": changed}
    for topic, handler in handlers.items():
        client.subscribe_topic(topic, handler)
    try:
        yield running
    finally:
        for topic in handlers:
            client.unsubscribe_topic(topic)

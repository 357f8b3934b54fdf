"""Signals stop a run between two steps, and only where the command line asks for it."""

import os
import signal
import threading

import pytest

from sparsecore.errors import Stopped
from sparsecore.training import stopping
from sparsecore.training.stopping import (
    defer_signals,
    raise_if_stopped,
    signals_stop,
    stop_requested,
)

BOTH = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in BOTH]


def ask(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_outside_of_steps_a_signal_stops_at_once(number):
    before = handlers()
    with pytest.raises(Stopped) as caught, signals_stop():
        ask(number)
    assert caught.value.signal == number and isinstance(caught.value, KeyboardInterrupt)
    assert f"stopped by {number.name}; the same command begins again" == str(caught.value)
    assert handlers() == before and not stop_requested()


@pytest.mark.parametrize("number", BOTH)
def test_among_steps_it_waits_for_a_checkpoint(number):
    before = handlers()
    with signals_stop():
        raise_if_stopped("emergent/0")
        with defer_signals():
            ask(number)
            assert (
                stop_requested() and handlers() == [signal.SIG_DFL] * 2
            )  # a second one ends the process
        with pytest.raises(Stopped) as caught:
            raise_if_stopped("emergent/0")
    assert str(caught.value).endswith("the same command goes on with run emergent/0")
    assert caught.value.signal == number and handlers() == before and not stop_requested()


def test_steps_end_with_their_block():
    with signals_stop():
        with defer_signals():
            with defer_signals():
                pass
            ask(signal.SIGTERM)
        assert stop_requested()
    assert not stop_requested()
    with pytest.raises(Stopped), signals_stop():
        ask(signal.SIGTERM)


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_stop():
            ask(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            with pytest.raises(Stopped):
                ask(signal.SIGTERM)
            assert handlers() == [signal.SIG_IGN, signal.SIG_DFL]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_and_own_handlers_are_left_alone():
    seen, heard = [], []
    mine = signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    try:
        before = handlers()

        def work():
            with signals_stop(), defer_signals():
                seen.append(handlers() == before)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with defer_signals():
            ask(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, mine)
    assert seen == [True] and heard == ["mine"] and not stopping.stop_requested()

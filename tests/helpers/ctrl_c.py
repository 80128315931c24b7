"""Ctrl-C in a call, at any moment of it."""

import signal

import numpy as np


def interrupted_calls(call, longest):
    """Call 40 times, each time with a Ctrl-C after another delay.

    Yields after each call whether it was interrupted, to look at what it left.
    """

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in np.geomspace(0.0005, longest, 40):
            interrupted = False
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                call()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted = True
            yield interrupted
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""Starts an engine so that it cannot outlive the server, even if the server is killed with -9.

Run as a script, by path and with nothing but the standard library, so that it costs a few milliseconds::

    python -I -S guard.py deathsig PARENT_PID COMMAND…    Linux
    python -I -S guard.py watch COMMAND…                  anywhere

``deathsig`` asks the kernel to kill this process when its parent dies, and becomes the engine: same pid, nothing left
in between. The kernel watches the *thread* that spawned us, not the process: the server must spawn from a thread that
lives as long as it does, which is the one that runs the event loop.

``watch`` stays as the engine's parent and reads its own standard input, a pipe whose other end the server holds: when
that ends, the server is gone, or wants the engine gone. The engine is then told to stop, and killed if it does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 5.0
#: What a shell says when a command cannot be run.
_CANNOT_RUN = 127


def run_with_deathsig(parent: int, command: list[str]) -> None:
    """Become ``command``, to be killed when the thread that started us ends. Does not return."""
    import ctypes  # noqa: PLC0415 (not needed, and slow to load, elsewhere)

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        # It died before we asked to be told.
        os._exit(1)
    os.execvp(command[0], command)  # noqa: S606 (an argument list, no shell)


def run_and_watch(command: list[str]) -> int:
    """Run ``command`` until it ends or our standard input does; return its exit code as ``subprocess`` has it."""
    engine: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if engine is None:
            early.append(number)
        else:
            engine.send_signal(number)

    def end_with_the_server(engine: subprocess.Popen[bytes]) -> None:
        while os.read(0, 1024):
            pass
        engine.terminate()
        try:
            engine.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            engine.kill()

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    engine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in early:
        engine.send_signal(number)
    threading.Thread(target=end_with_the_server, args=(engine,), daemon=True).start()
    return engine.wait()


def main(arguments: list[str]) -> int:
    """Run as the module's docstring says; return the exit code."""
    mode, *rest = arguments
    try:
        if mode == "deathsig":
            run_with_deathsig(int(rest[0]), rest[1:])
        code = run_and_watch(rest)
    except OSError as error:
        print(f"Cannot run {rest[0] if mode == 'watch' else rest[1]}: {error}", file=sys.stderr)  # noqa: T201
        return _CANNOT_RUN
    if code < 0:
        # The engine died of a signal: so do we, so that the server reads the same from us as it would from it.
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

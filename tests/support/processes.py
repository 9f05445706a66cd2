"""Processes that tests start, or have started: which there are, and waiting for their end."""

from __future__ import annotations

import os
import select

import psutil


def wait_until_gone(pid: int, seconds: float = 20.0) -> bool:
    """Return whether the process ends in time. One that is dead but not yet reaped counts as gone."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)
    try:
        psutil.Process(pid).wait(seconds)
    except psutil.TimeoutExpired:
        return False
    except psutil.NoSuchProcess:
        pass
    return True


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not merely waiting to be reaped."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def running_children(word: str) -> list[psutil.Process]:
    """Return the processes that this one has started with ``word`` among their arguments."""
    found = []
    for child in psutil.Process().children():
        try:
            arguments = child.cmdline()
        except psutil.Error:  # it ends just now
            continue
        if word in arguments:
            found.append(child)
    return found

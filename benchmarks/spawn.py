"""Run one command and write what it took: ``spawn.py OUTPUT COMMAND...``.

A program of its own, and a small one: on Linux the peak memory of a process counts from the fork
that made it, so that a large parent would be measured in its place.
"""

import os
import sys
import time


def main() -> None:
    """Write wall seconds, CPU seconds, peak memory (KiB) and exit status on one line."""
    output, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            os.execvpe(command[0], command, os.environ)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    # Kilobytes on Linux, bytes on macOS.
    peak = usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    code = os.waitstatus_to_exitcode(status)
    print(wall, usage.ru_utime + usage.ru_stime, peak, code)


if __name__ == "__main__":
    main()

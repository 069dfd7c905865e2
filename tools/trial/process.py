"""A child process with a log file, that never outlives its parent unless asked to."""
import os
import re
import subprocess
import time

# Children carry the trial's name in their environment, so that leftovers.py finds exactly these.
MARK = "BERTH_TRIAL"


class TrialError(Exception):
    """Something of the trial did not do what it should; the message is for the user."""


def run(*argv, netns=None, check=True, text=None, timeout=30):
    """Runs a short command to its end; returns the CompletedProcess."""
    argv = [*netns_prefix(netns), *map(str, argv)]
    try:
        result = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError as error:
        raise TrialError(f"{argv[0]} is not installed (tools/deps install test)") from error
    except subprocess.TimeoutExpired as error:
        raise TrialError(f"{' '.join(argv)}: no end after {timeout} s") from error
    if check and result.returncode:
        raise TrialError(f"{' '.join(argv)}: {(result.stderr or result.stdout).strip()}")
    return result


def netns_prefix(netns):
    # Not `ip netns exec` or `ip -n`: they remount the root, which a chroot or a container may not let them.
    return ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []


def wait_until(condition, timeout, what):
    """Polls `condition` until it is true, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TrialError(f"{what}: not within {timeout:g} s")
        time.sleep(0.005)


class Child:
    """`outlives`: goes on when the parent dies (tools/quickstart --keep)."""

    def __init__(self, trial, name, argv, log, netns=None, outlives=False, wants_input=False):
        self.name = name
        self.log = log
        self._input = self._make_input(f"{log}.in") if wants_input else None
        prefix = [] if outlives else ["setpriv", "--pdeathsig", "KILL", "--"]
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [*prefix, *netns_prefix(netns), *map(str, argv)],
                stdin=self._input or subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, MARK: trial},
                start_new_session=True)  # Ctrl-C is for us alone; we end our children in order

    @staticmethod
    def _make_input(path):
        """A FIFO open in both directions: who holds it as its input never sees an end of file, not even
        when we have gone."""
        os.mkfifo(path)
        return os.open(path, os.O_RDWR)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.process.poll() is None

    def wait_for(self, pattern, timeout=20, start=0):
        """Waits for a line of the log that matches; returns the match. `start` skips earlier output."""
        def look():
            running = self.is_running()
            match = re.compile(pattern, re.MULTILINE).search(self.output(), start)
            if not match and not running:
                raise TrialError(f"{self.name} ended with code {self.process.returncode}:\n{self.last_lines()}")
            return match
        try:
            return wait_until(look, timeout, f"{self.name}: '{pattern}' in its log")
        except TrialError as error:
            if self.is_running():
                raise TrialError(f"{error}\n{self.last_lines()}") from None
            raise

    def last_lines(self, count=15):
        return "\n".join(f"    | {line}" for line in self.output().splitlines()[-count:])

    def write(self, line):
        os.write(self._input, line.encode() + b"\n")

    def stop(self, timeout=10):
        """Asks it to end, then insists. Returns the exit code (negative: the signal)."""
        if self.is_running():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._input:
            os.close(self._input)
            self._input = None
        return self.process.returncode

"""dpdk-testpmd with the software eSwitch in it: its command line, and a process that answers one command at a time."""
import os
import re
import subprocess

ON_ONE_CORE = ("--lcores", "0@0,1@0")  # no service core: no packet moves
WITH_SERVICE_CORE = ("--lcores", "0@0,1@0,2@1", "-S", "2")


def command_line(plugin, vdevs, cores):
    return ["dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--no-shconf",
            f"--file-prefix=berth-testpmd-{os.getpid()}", *cores, "-d", plugin, *(f"--vdev={vdev}" for vdev in vdevs),
            "--", "-i", "--total-num-mbufs=2048"]


class Testpmd:
    """With a service core: the switch runs by itself."""

    def __init__(self, plugin, vdevs):
        # A terminal's echo would be in the way: testpmd reads a pipe, stdbuf makes it answer at once.
        self.process = subprocess.Popen(["stdbuf", "-oL", *command_line(plugin, vdevs, WITH_SERVICE_CORE)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def tell(self, *commands):
        self.process.stdin.write("".join(f"{command}\n" for command in commands))
        self.process.stdin.flush()

    def lines_until(self, pattern, asked):
        """The lines up to the first that has the pattern, and its match."""
        lines = []
        for line in self.process.stdout:
            if match := re.search(pattern, line):
                return lines, match
            lines.append(line)
        raise AssertionError(f"testpmd ended at: {asked}")

    def ask(self, command, answer):
        """Sends a command and returns the match of the first line that has the answer."""
        self.tell(command)
        return self.lines_until(answer, command)[1]

    def quit(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(timeout=60)

"""A Debian 12 with systemd as its first process, in a container with a network of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import control_groups
import materials

if TYPE_CHECKING:
    from collections.abc import Generator

BOOTS_WITHIN = 60.0
ENDS_WITHIN = 30.0
SOURCES = "/usr/src/tenant-webhooks"
WHEELS = "/usr/src/wheels"
_CLONE_NEWNET = 0x40000000
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C"}


class Machine:
    """`root`: its file system, seen from here. `process`: systemd-nspawn's."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes], console: Path) -> None:
        self.root = root
        self.process = process
        self.console = console
        self.leader = 0

    @classmethod
    @contextmanager
    def boot(cls, folder: Path) -> Generator[Machine]:
        """A machine that has booted, with a clean clone and the packages it needs; gone at the end."""
        root, console, name = folder / "root", folder / "console.log", f"tenant-webhooks-test-{os.getpid()}"
        subprocess.run(["cp", "-a", "--reflink=auto", str(materials.debian()), str(root)], check=True)
        (root / "etc/hosts").write_text("127.0.0.1 localhost receiver.test\n")
        materials.clone(root / SOURCES.lstrip("/"))
        # Register and unit need a systemd on this side too, which a build machine has not.
        command = ["systemd-nspawn", "--register=no", "--keep-unit", "--boot", "--private-network", "--quiet"]
        command += [f"--directory={root}", f"--bind-ro={materials.wheels()}:{WHEELS}", f"--machine={name}"]
        with control_groups.made(name) as groups:
            # Told to end when this process does, however: nspawn that is killed leaves the machine running.
            command = control_groups.entering(groups, "setpriv", "--pdeathsig", "TERM", *command)
            with console.open("wb") as output:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            machine = cls(root, process, console)
            try:
                machine._wait_until_booted()
                yield machine
            finally:
                machine._shut_down()
                shutil.rmtree(root, ignore_errors=True)

    def run(self, *command: str, user: int | None = None, ok: bool = True) -> str:
        """A command in the machine, as root or that user id; what it says. `ok`: it must end with 0."""
        done = self.attempt(*command, user=user)
        assert not ok or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def attempt(self, *command: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return subprocess.run(
            self.enter(*become, *command),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
        )

    def enter(self, *command: str) -> list[str]:
        """The command that runs `command` in the machine."""
        # A working folder of this side would be nowhere on that one.
        within = ["sh", "-c", 'cd / && exec "$@"', "sh"]
        return ["nsenter", "--target", str(self.leader), "--all", *within, *command]

    def path(self, inside: str) -> Path:
        """A path of the machine as seen from here. Absolute links in it would lead astray."""
        return self.root / inside.lstrip("/")

    @contextmanager
    def network(self) -> Generator[None]:
        """This thread, and every thread and process it starts from here on, is in the machine's network."""
        with open("/proc/self/ns/net") as ours, open(f"/proc/{self.leader}/ns/net") as its:
            _set_namespace(its.fileno())
            try:
                yield
            finally:
                _set_namespace(ours.fileno())

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + BOOTS_WITHIN
        state = ""
        while state.strip() not in ("running", "degraded"):
            assert self.process.poll() is None, self.console.read_text(errors="replace")
            assert time.monotonic() < deadline, f"{state}\n{self.console.read_text(errors='replace')}"
            time.sleep(0.1)
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            if children:
                self.leader = int(children[0])
                state = self.run("systemctl", "is-system-running", ok=False)
        assert state.strip() == "running", self.run("systemctl", "--failed", ok=False)

    def _shut_down(self) -> None:
        self.process.send_signal(signal.SIGTERM)  # nspawn asks the machine's systemd to power off
        try:
            self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            # With its first process the whole machine ends, and nspawn after it.
            if self.leader:
                os.kill(self.leader, signal.SIGKILL)
            else:
                self.process.kill()
            self.process.wait()


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is Python 3.12's
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
